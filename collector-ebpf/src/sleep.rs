//! Whether and how a task sleeps, by its state at the switch-out.

const INTERRUPTIBLE: u32 = 0x1;
const UNINTERRUPTIBLE: u32 = 0x2;
const STOPPED: u32 = 0x4;
const TRACED: u32 = 0x8;
const PARKED: u32 = 0x40;
const NOLOAD: u32 = 0x400;
const RTLOCK_WAIT: u32 = 0x1000;
const FROZEN: u32 = 0x8000;

/// [`Thread::task_state`](crate::Thread::task_state): the task was asleep when
/// its record was assigned, so that the start of its sleep is unknown. Not a
/// bit that the kernel uses.
pub const FOUND_ASLEEP: u32 = 1 << 31;

/// Whether a task that was switched out voluntarily in this state
/// (`task_struct.__state`) is asleep until it is woken.
///
/// Not one that is being woken (`TASK_WAKING`), has not run yet (`TASK_NEW`), or
/// will not run again (`TASK_DEAD`).
pub const fn sleeps(task_state: u32) -> bool {
    const ASLEEP: u32 =
        INTERRUPTIBLE | UNINTERRUPTIBLE | STOPPED | TRACED | PARKED | RTLOCK_WAIT | FROZEN;
    task_state & ASLEEP != 0
}

/// Whether a task in this state is in uninterruptible sleep, which
/// `/proc/PID/stat` shows as `D`.
///
/// The same rule as `task_state_index` of
/// [`include/linux/sched.h`](https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched.h#L1652).
/// An idle kernel thread (`TASK_IDLE`, shown as `I`) is not: its state is
/// `TASK_UNINTERRUPTIBLE | TASK_NOLOAD`.
#[expect(
    clippy::inline_always,
    reason = "on the switch path a call costs more than the function"
)]
#[inline(always)]
pub const fn is_uninterruptible(task_state: u32) -> bool {
    task_state & (RTLOCK_WAIT | FROZEN) != 0
        || task_state & (UNINTERRUPTIBLE | NOLOAD) == UNINTERRUPTIBLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_and_runnable_states_are_distinguished() {
        const WAKEKILL: u32 = 0x100;
        const FREEZABLE: u32 = 0x2000;
        for (what, state, is_asleep, is_d) in [
            ("preempted", 0, false, false),
            ("nanosleep", INTERRUPTIBLE | FREEZABLE, true, false),
            ("disk", UNINTERRUPTIBLE, true, true),
            ("vfork", UNINTERRUPTIBLE | WAKEKILL, true, true),
            ("idle", UNINTERRUPTIBLE | NOLOAD, true, false),
            ("stopped", STOPPED | WAKEKILL, true, false),
            ("traced", TRACED | WAKEKILL, true, false),
            ("frozen", FROZEN, true, true),
            ("parked", PARKED, true, false),
            ("rt lock", RTLOCK_WAIT, true, true),
            ("waking", 0x200, false, false),
            ("new", 0x800, false, false),
            ("dead", 0x80, false, false),
            ("found", INTERRUPTIBLE | FOUND_ASLEEP, true, false),
        ] {
            assert_eq!(sleeps(state), is_asleep, "{what}");
            assert_eq!(is_uninterruptible(state), is_d, "{what}");
        }
    }
}
