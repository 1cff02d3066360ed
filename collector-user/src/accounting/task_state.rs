//! `task_struct.__state`: asleep, waiting for a CPU, and the state letter.

use collector_ebpf::{ON_CPU_WHEN_FOUND, THREAD_LIVE, Thread, is_uninterruptible, sleeps};

use crate::metric::ProcessState;

/// A sleep that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OngoingSleep {
    pub(super) since_ns: u64,
    pub(super) is_uninterruptible: bool,
}

impl OngoingSleep {
    /// The sleep of a thread according to its record; it may have been switched
    /// in since that was written.
    pub(super) fn of_record(record: &Thread) -> Option<Self> {
        let is_asleep = sleeps(record.task_state)
            && record.state == THREAD_LIVE
            && !matches!(record.left_at_ns, 0 | ON_CPU_WHEN_FOUND);
        is_asleep.then_some(Self {
            since_ns: record.left_at_ns,
            is_uninterruptible: is_uninterruptible(record.task_state),
        })
    }
}

/// The start of the run-queue wait of a thread that is not on a CPU: when it was
/// preempted, or, where the wakeup tracepoints are attached, woken. `None` if it
/// is not waiting.
pub(super) const fn runqueue_wait_start(record: &Thread) -> Option<u64> {
    if record.task_state == 0 && !matches!(record.left_at_ns, 0 | ON_CPU_WHEN_FOUND) {
        Some(record.left_at_ns)
    } else {
        None
    }
}

/// The state for `task_struct.__state`, by the bits of `include/linux/sched.h`
/// that have not changed since 4.14.
pub(super) fn process_state(task_state: u32) -> ProcessState {
    const INTERRUPTIBLE: u32 = 0x1;
    const UNINTERRUPTIBLE: u32 = 0x2;
    // As `task_state_index` of the same header maps these two.
    const RTLOCK_WAIT: u32 = 0x1000;
    const FROZEN: u32 = 0x8000;
    const STOPPED: u32 = 0x4;
    const TRACED: u32 = 0x8;
    const PARKED: u32 = 0x40;
    const DEAD: u32 = 0x80;
    const NOLOAD: u32 = 0x400;
    if task_state & DEAD != 0 {
        ProcessState::Dead
    } else if task_state & STOPPED != 0 {
        ProcessState::Stopped
    } else if task_state & TRACED != 0 {
        ProcessState::TracingStop
    } else if task_state & PARKED != 0 {
        ProcessState::Parked
    } else if task_state & (RTLOCK_WAIT | FROZEN) != 0 {
        ProcessState::DiskSleep
    } else if task_state & UNINTERRUPTIBLE != 0 {
        if task_state & NOLOAD != 0 {
            ProcessState::Idle
        } else {
            ProcessState::DiskSleep
        }
    } else if task_state & INTERRUPTIBLE != 0 {
        ProcessState::Sleeping
    } else {
        ProcessState::Running
    }
}
