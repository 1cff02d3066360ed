//! Where the fields are that the program `read_cpus` reads.

use collector_ebpf::{
    ABSENT, CPU_STATES, CpuOffsets, IDLE_COUNTED, IDLE_IN_CPUSTAT, IDLE_IN_TICK_SCHED,
};

use super::{btf::Btf, per_cpu::PerCpu};

/// Of [`kernel/time/tick-sched.h`], where the structure has `flags`.
///
/// [`kernel/time/tick-sched.h`]: https://elixir.bootlin.com/linux/v6.12/source/kernel/time/tick-sched.h#L17
const TS_FLAG_IDLE_ACTIVE: u32 = 1 << 2;
/// As [`TS_FLAG_IDLE_ACTIVE`].
const TS_FLAG_NOHZ: u32 = 1 << 4;

/// Looks the fields up.
///
/// # Errors
///
/// When a variable or a field is missing without which the program has nothing
/// to tell.
pub(super) fn resolve(btf: &Btf) -> Result<CpuOffsets, String> {
    let per_cpu = PerCpu::find(btf)?;
    let needed = |path: &str, bytes: usize| {
        place(btf, path, bytes).ok_or_else(|| format!("this kernel has no field {path}"))
    };
    let mut offsets = CpuOffsets {
        cpustat_from_queue: per_cpu.distance_from_queue(per_cpu.cpustat)?,
        // Only with CONFIG_FAIR_GROUP_SCHED, both.
        task_cfs_queue: needed("task_struct.se.cfs_rq", size_of::<u64>())?,
        cfs_queue: needed("cfs_rq.rq", size_of::<u64>())?,
        rq_cpu: needed("rq.cpu", size_of::<u32>())?,
        states: needed("kernel_cpustat.cpustat", CPU_STATES * size_of::<u64>())?,
        rq_current: needed("rq.curr", size_of::<u64>())?,
        rq_running: needed("rq.nr_running", size_of::<u32>())?,
        rq_waiting_for_io: needed("rq.nr_iowait.counter", size_of::<u32>())?,
        rq_switches: needed("rq.nr_switches", size_of::<u64>())?,
        rq_online: needed("rq.online", size_of::<u32>())?,
        rq_clock: needed("rq.clock", size_of::<u64>())?,
        rq_clock_task: needed("rq.clock_task", size_of::<u64>())?,
        task_charged_until: needed("task_struct.se.exec_start", size_of::<u64>())?,
        ..CpuOffsets::UNKNOWN
    };
    idle(btf, per_cpu, &mut offsets)?;
    Ok(offsets)
}

/// Where a field is that has at least so many bytes.
fn place(btf: &Btf, path: &str, bytes: usize) -> Option<u32> {
    btf.place_of(path)
        .filter(|place| place.bytes as usize >= bytes)
        .map(|place| place.offset)
}

/// The fields that tell the idle time. Where they are has changed twice.
fn idle(btf: &Btf, per_cpu: PerCpu, offsets: &mut CpuOffsets) -> Result<(), String> {
    let number = |path: &str| place(btf, path, size_of::<u64>());
    let sequence = |path: &str| place(btf, path, size_of::<u32>()).unwrap_or(ABSENT);
    // Since https://git.kernel.org/torvalds/c/cf6444c3e1bb, in 7.2.
    if let Some(entry) = number("kernel_cpustat.idle_entrytime") {
        offsets.idle_in = IDLE_IN_CPUSTAT;
        offsets.idle_entry = entry;
        offsets.idle_sequence = sequence("kernel_cpustat.idle_sleeptime_seq.sequence");
        offsets.idle_stolen =
            place(btf, "kernel_cpustat.idle_stealtime", 2 * size_of::<u64>()).unwrap_or(ABSENT);
        offsets.idle_active = place(btf, "kernel_cpustat.idle_elapse", 1)
            .ok_or("this kernel does not tell in kernel_cpustat whether a CPU idles")?;
        offsets.idle_active_mask = 0xff;
        return Ok(());
    }
    let Some(entry) = number("tick_sched.idle_entrytime") else {
        // Without CONFIG_NO_HZ_COMMON, the tick never stops, and counts all.
        offsets.idle_in = IDLE_COUNTED;
        return Ok(());
    };
    let Some(tick) = per_cpu.tick else {
        return Err("it is not told where tick_cpu_sched is".to_owned());
    };
    offsets.tick_from_queue = per_cpu.distance_from_queue(tick)?;
    offsets.idle_in = IDLE_IN_TICK_SCHED;
    offsets.idle_entry = entry;
    offsets.idle_sequence = sequence("tick_sched.idle_sleeptime_seq.sequence");
    offsets.idle_slept = number("tick_sched.idle_sleeptime").unwrap_or(ABSENT);
    offsets.iowait_slept = number("tick_sched.iowait_sleeptime").unwrap_or(ABSENT);
    if let Some((byte, bit)) = btf.bit_of("tick_sched.idle_active") {
        offsets.idle_active = byte;
        offsets.idle_active_mask = 1 << bit;
        // An enumeration; 0 is `NOHZ_MODE_INACTIVE`.
        offsets.tickless = place(btf, "tick_sched.nohz_mode", 1).unwrap_or(ABSENT);
        offsets.tickless_mask = 0xff;
    } else if let Some(flags) = place(btf, "tick_sched.flags", 1) {
        offsets.idle_active = flags;
        offsets.idle_active_mask = TS_FLAG_IDLE_ACTIVE;
        offsets.tickless = flags;
        offsets.tickless_mask = TS_FLAG_NOHZ;
    }
    let found = [
        offsets.idle_slept,
        offsets.iowait_slept,
        offsets.idle_active,
        offsets.tickless,
    ];
    if found.contains(&ABSENT) {
        return Err("struct tick_sched of this kernel has another form".to_owned());
    }
    Ok(())
}

/// The value of the global `CPU_OFFSETS`.
pub(super) fn words(offsets: &CpuOffsets) -> [u32; size_of::<CpuOffsets>() / size_of::<u32>()] {
    // SAFETY: the structure is `repr(C)` and holds `u32` only.
    unsafe { std::mem::transmute(*offsets) }
}
