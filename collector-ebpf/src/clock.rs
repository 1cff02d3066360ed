use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use collector_ebpf::CpuCounters;

use crate::field::{Kernel, field, pointer};

/// The interval at which the offset of the scheduler's clock is measured again.
const RESYNC_NS: u64 = 1 << 20;

/// `CLOCK_MONOTONIC` is slewed by at most 500 ppm; this shift allows 1000 ppm.
const MAX_SLEW_SHIFT: u32 = 10;

/// A change of the offset beyond this is a step of the scheduler's clock, and
/// not slew.
const STEP_NS: i64 = 1 << 30;

/// The time of this switch, by `CLOCK_MONOTONIC`.
///
/// Reading that clock costs more than the rest of the program, and the scheduler
/// has just read its own: `__schedule` calls `update_rq_clock`. So the time is
/// `rq.clock` of the task's run queue plus an offset that is measured every
/// [`RESYNC_NS`]. Where the run queue cannot be found (without
/// `CONFIG_FAIR_GROUP_SCHED`), the clock is read.
#[inline(always)]
pub(crate) fn switch_time(cpu: &mut CpuCounters, prev: *const Kernel) -> u64 {
    let group = pointer!(prev, task_cfs_rq);
    if group.is_null() {
        return monotonic();
    }
    let rq = pointer!(group, cfs_rq_rq);
    if rq.is_null() {
        return monotonic();
    }
    if rq as u64 != cpu.rq {
        // SAFETY: the helper has no precondition.
        if field!(rq, rq_cpu: u32) != unsafe { bpf_get_smp_processor_id() } {
            return monotonic();
        }
        cpu.rq = rq as u64;
    }
    let clock = field!(rq, rq_clock: u64);
    if clock == 0 {
        return monotonic();
    }
    if clock.wrapping_sub(cpu.clock_synced_ns) >= RESYNC_NS {
        resync(cpu, clock);
    }
    clock.wrapping_add(cpu.clock_offset_ns)
}

/// Measures the offset of the scheduler's clock.
///
/// `rq.clock` was read some time ago, and longer ago if the CPU has balanced
/// load meanwhile, so that the measured offset may be too large, never too
/// small: its growth is limited to the slew.
#[inline(never)]
fn resync(cpu: &mut CpuCounters, clock: u64) {
    let measured = monotonic().wrapping_sub(clock);
    let elapsed = clock.wrapping_sub(cpu.clock_synced_ns);
    let most = cpu.clock_offset_ns.wrapping_add(elapsed >> MAX_SLEW_SHIFT);
    let excess = measured.wrapping_sub(most) as i64;
    cpu.clock_offset_ns = if cpu.clock_synced_ns != 0 && excess > 0 && excess < STEP_NS {
        most
    } else {
        measured
    };
    cpu.clock_synced_ns = clock;
}

#[inline(always)]
fn monotonic() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}
