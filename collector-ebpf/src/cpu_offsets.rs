use crate::ABSENT;

/// [`CpuOffsets::idle_in`]: idle time is accounted by the tick, in
/// `kernel_cpustat.cpustat` alone.
pub const IDLE_TICK_ACCOUNTED: u32 = 0;
/// [`CpuOffsets::idle_in`]: `struct tick_sched` has the idle time of CPUs that
/// stop their tick when idle.
pub const IDLE_IN_TICK_SCHED: u32 = 1;
/// [`CpuOffsets::idle_in`]: `struct kernel_cpustat` has also the idle time in
/// flight, since 7.2.
pub const IDLE_IN_CPUSTAT: u32 = 2;

/// The offsets of the fields that the program `read_cpus` reads, beside those of
/// [`Offsets`](crate::Offsets); in bytes from the start of their structure, or
/// [`ABSENT`]. Set and frozen by the loader.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuOffsets {
    /// The distance from `runqueues` to `kernel_cpustat` of the same CPU, modulo
    /// 2^32; it is the same on all CPUs.
    pub cpustat_from_rq: u32,
    /// The distance from `runqueues` to `tick_cpu_sched`.
    pub tick_sched_from_rq: u32,
    /// [`IDLE_TICK_ACCOUNTED`], [`IDLE_IN_TICK_SCHED`] or [`IDLE_IN_CPUSTAT`]: which
    /// structure has the fields that start with `idle_`.
    pub idle_in: u32,
    /// Of `idle_sleeptime_seq.sequence`.
    pub idle_sequence: u32,
    /// Of `idle_entrytime`.
    pub idle_entrytime: u32,
    /// Of the byte that has whether the CPU is idle.
    pub idle_active: u32,
    /// The bits of that byte.
    pub idle_active_mask: u32,
    /// Of the byte that has whether the CPU stops its tick when idle.
    pub nohz: u32,
    /// The bits of that byte.
    pub nohz_mask: u32,
    /// Of `tick_sched.idle_sleeptime`.
    pub idle_sleeptime: u32,
    /// Of `tick_sched.iowait_sleeptime`.
    pub iowait_sleeptime: u32,
    /// Of `kernel_cpustat.idle_stealtime`.
    pub idle_stealtime: u32,
    /// Of `kernel_cpustat.cpustat`.
    pub cpustat: u32,
    /// Of `task_struct.se.cfs_rq`.
    pub task_cfs_rq: u32,
    /// Of `cfs_rq.rq`.
    pub cfs_rq_rq: u32,
    /// Of `rq.cpu`.
    pub rq_cpu: u32,
    /// Of `rq.curr`.
    pub rq_curr: u32,
    /// Of `rq.nr_running`.
    pub rq_nr_running: u32,
    /// Of `rq.nr_iowait`.
    pub rq_nr_iowait: u32,
    /// Of `rq.nr_switches`.
    pub rq_nr_switches: u32,
    /// Of `rq.online`.
    pub rq_online: u32,
    /// Of `rq.clock`.
    pub rq_clock: u32,
    /// Of `rq.clock_task`.
    pub rq_clock_task: u32,
    /// Of `task_struct.se.exec_start`.
    pub task_exec_start: u32,
}

impl CpuOffsets {
    /// Before the loader has set them.
    pub const UNKNOWN: Self = Self {
        cpustat_from_rq: 0,
        tick_sched_from_rq: 0,
        idle_in: IDLE_TICK_ACCOUNTED,
        idle_sequence: ABSENT,
        idle_entrytime: ABSENT,
        idle_active: ABSENT,
        idle_active_mask: 0,
        nohz: ABSENT,
        nohz_mask: 0,
        idle_sleeptime: ABSENT,
        iowait_sleeptime: ABSENT,
        idle_stealtime: ABSENT,
        cpustat: ABSENT,
        task_cfs_rq: ABSENT,
        cfs_rq_rq: ABSENT,
        rq_cpu: ABSENT,
        rq_curr: ABSENT,
        rq_nr_running: ABSENT,
        rq_nr_iowait: ABSENT,
        rq_nr_switches: ABSENT,
        rq_online: ABSENT,
        rq_clock: ABSENT,
        rq_clock_task: ABSENT,
        task_exec_start: ABSENT,
    };
}
