//! The offsets of the fields that the program `read_cpus` reads.

use collector_ebpf::{
    ABSENT, CPU_STATES, CpuOffsets, IDLE_IN_CPUSTAT, IDLE_IN_TICK_SCHED, IDLE_TICK_ACCOUNTED,
};

use super::{CpuTimesError, per_cpu::PerCpuVariables};
use crate::source::bpf::load::Btf;

/// From [`kernel/time/tick-sched.h`], if the structure has `flags`.
///
/// [`kernel/time/tick-sched.h`]: https://elixir.bootlin.com/linux/v6.12/source/kernel/time/tick-sched.h#L17
const TS_FLAG_IDLE_ACTIVE: u32 = 1 << 2;
/// As [`TS_FLAG_IDLE_ACTIVE`].
const TS_FLAG_NOHZ: u32 = 1 << 4;

/// Finds the fields.
///
/// # Errors
///
/// If a required variable or field is missing.
pub(super) fn resolve(btf: &Btf) -> Result<CpuOffsets, CpuTimesError> {
    let per_cpu = PerCpuVariables::find(btf)?;
    let needed = |path: &'static str, bytes: usize| {
        offset(btf, path, bytes).ok_or(CpuTimesError::NoField(path))
    };
    let mut offsets = CpuOffsets {
        cpustat_from_rq: per_cpu.distance_from_rq(per_cpu.cpustat)?,
        // Only with CONFIG_FAIR_GROUP_SCHED, both.
        task_cfs_rq: needed("task_struct.se.cfs_rq", size_of::<u64>())?,
        cfs_rq_rq: needed("cfs_rq.rq", size_of::<u64>())?,
        rq_cpu: needed("rq.cpu", size_of::<u32>())?,
        cpustat: needed("kernel_cpustat.cpustat", CPU_STATES * size_of::<u64>())?,
        rq_curr: needed("rq.curr", size_of::<u64>())?,
        rq_nr_running: needed("rq.nr_running", size_of::<u32>())?,
        rq_nr_iowait: needed("rq.nr_iowait.counter", size_of::<u32>())?,
        rq_nr_switches: needed("rq.nr_switches", size_of::<u64>())?,
        rq_online: needed("rq.online", size_of::<u32>())?,
        rq_clock: needed("rq.clock", size_of::<u64>())?,
        rq_clock_task: needed("rq.clock_task", size_of::<u64>())?,
        task_exec_start: needed("task_struct.se.exec_start", size_of::<u64>())?,
        ..CpuOffsets::UNKNOWN
    };
    idle(btf, per_cpu, &mut offsets)?;
    Ok(offsets)
}

/// The offset of a field of at least this many bytes.
fn offset(btf: &Btf, path: &str, bytes: usize) -> Option<u32> {
    btf.field(path)
        .filter(|field| field.bytes as usize >= bytes)
        .map(|field| field.offset)
}

/// The fields of the idle time, which have moved twice.
fn idle(
    btf: &Btf,
    per_cpu: PerCpuVariables,
    offsets: &mut CpuOffsets,
) -> Result<(), CpuTimesError> {
    let number = |path: &str| offset(btf, path, size_of::<u64>());
    let sequence = |path: &str| offset(btf, path, size_of::<u32>()).unwrap_or(ABSENT);
    // Since https://git.kernel.org/torvalds/c/cf6444c3e1bb, in 7.2.
    if let Some(entry) = number("kernel_cpustat.idle_entrytime") {
        offsets.idle_in = IDLE_IN_CPUSTAT;
        offsets.idle_entrytime = entry;
        offsets.idle_sequence = sequence("kernel_cpustat.idle_sleeptime_seq.sequence");
        offsets.idle_stealtime =
            offset(btf, "kernel_cpustat.idle_stealtime", 2 * size_of::<u64>()).unwrap_or(ABSENT);
        offsets.idle_active =
            offset(btf, "kernel_cpustat.idle_elapse", 1).ok_or(CpuTimesError::NoIdleFlag)?;
        offsets.idle_active_mask = 0xff;
        return Ok(());
    }
    let Some(entry) = number("tick_sched.idle_entrytime") else {
        // Without CONFIG_NO_HZ_COMMON the tick never stops, and accounts all time.
        offsets.idle_in = IDLE_TICK_ACCOUNTED;
        return Ok(());
    };
    let Some(tick) = per_cpu.tick else {
        return Err(CpuTimesError::NoTickSched);
    };
    offsets.tick_sched_from_rq = per_cpu.distance_from_rq(tick)?;
    offsets.idle_in = IDLE_IN_TICK_SCHED;
    offsets.idle_entrytime = entry;
    offsets.idle_sequence = sequence("tick_sched.idle_sleeptime_seq.sequence");
    offsets.idle_sleeptime = number("tick_sched.idle_sleeptime").unwrap_or(ABSENT);
    offsets.iowait_sleeptime = number("tick_sched.iowait_sleeptime").unwrap_or(ABSENT);
    if let Some((byte, bit)) = btf.bit_of("tick_sched.idle_active") {
        offsets.idle_active = byte;
        offsets.idle_active_mask = 1 << bit;
        // An enumeration; 0 is `NOHZ_MODE_INACTIVE`.
        offsets.nohz = offset(btf, "tick_sched.nohz_mode", 1).unwrap_or(ABSENT);
        offsets.nohz_mask = 0xff;
    } else if let Some(flags) = offset(btf, "tick_sched.flags", 1) {
        offsets.idle_active = flags;
        offsets.idle_active_mask = TS_FLAG_IDLE_ACTIVE;
        offsets.nohz = flags;
        offsets.nohz_mask = TS_FLAG_NOHZ;
    }
    let found = [
        offsets.idle_sleeptime,
        offsets.iowait_sleeptime,
        offsets.idle_active,
        offsets.nohz,
    ];
    if found.contains(&ABSENT) {
        return Err(CpuTimesError::UnknownTickSched);
    }
    Ok(())
}
