use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use collector_ebpf::CpuCounters;

use crate::field::{Kernel, field, pointer};

/// After how many ns the scheduler's clock is looked at beside our own.
const PACE_NS: u64 = 1 << 20;

/// The clock of the programs may be steered by 500 ns in a million; this is
/// a shift that allows it twice that.
const STEERING: u32 = 10;

/// Beyond this the scheduler's clock has been set, and not steered.
const LEAP_NS: i64 = 1 << 30;

/// The time of this switch, by `CLOCK_MONOTONIC`.
///
/// To read that clock costs more than all else at a switch, and the scheduler
/// has read its own just before: `__schedule` calls `update_rq_clock`. So the
/// time is `rq.clock` of the task's run queue and how far that is behind,
/// which is looked at once in a while. Where there is no way to the run queue
/// (without `CONFIG_FAIR_GROUP_SCHED`), the clock is read.
#[inline(always)]
pub(crate) fn switch_time(cpu: &mut CpuCounters, prev: *const Kernel) -> u64 {
    let group = pointer!(prev, task_cfs_rq);
    if group.is_null() {
        return monotonic();
    }
    let queue = pointer!(group, cfs_rq_rq);
    if queue.is_null() {
        return monotonic();
    }
    if queue as u64 != cpu.queue {
        // SAFETY: the helper has no precondition.
        if field!(queue, rq_cpu: u32) != unsafe { bpf_get_smp_processor_id() } {
            return monotonic();
        }
        cpu.queue = queue as u64;
    }
    let clock = field!(queue, rq_clock: u64);
    if clock == 0 {
        return monotonic();
    }
    if clock.wrapping_sub(cpu.clock_looked_ns) >= PACE_NS {
        look(cpu, clock);
    }
    clock.wrapping_add(cpu.clock_behind_ns)
}

/// Looks how far the scheduler's clock is behind.
///
/// It was read a moment ago, and longer ago if the CPU has looked for work
/// elsewhere meanwhile, so the distance is never less than it seems: it grows
/// no faster than clocks are steered.
#[inline(never)]
fn look(cpu: &mut CpuCounters, clock: u64) {
    let behind = monotonic().wrapping_sub(clock);
    let elapsed = clock.wrapping_sub(cpu.clock_looked_ns);
    let most = cpu.clock_behind_ns.wrapping_add(elapsed >> STEERING);
    let beyond = behind.wrapping_sub(most) as i64;
    cpu.clock_behind_ns = if cpu.clock_looked_ns != 0 && beyond > 0 && beyond < LEAP_NS {
        most
    } else {
        behind
    };
    cpu.clock_looked_ns = clock;
}

#[inline(always)]
fn monotonic() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}
