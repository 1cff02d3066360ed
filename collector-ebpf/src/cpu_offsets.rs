use crate::ABSENT;

/// [`CpuOffsets::idle_in`]: the idle time is in `kernel_cpustat.cpustat`
/// alone.
pub const IDLE_COUNTED: u32 = 0;
/// [`CpuOffsets::idle_in`]: `struct tick_sched` knows the idle time of CPUs
/// that stop their tick.
pub const IDLE_IN_TICK_SCHED: u32 = 1;
/// [`CpuOffsets::idle_in`]: `struct kernel_cpustat` has also what is in
/// flight, since 7.2.
pub const IDLE_IN_CPUSTAT: u32 = 2;

/// Where the fields are that the program `read_cpus` reads, beside those of
/// [`Offsets`](crate::Offsets); in bytes from the start of their structure, or
/// [`ABSENT`]. Filled in and frozen by the loader.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuOffsets {
    /// From `runqueues` to `kernel_cpustat`, both of one CPU, in the numbers
    /// that wrap around; the variables of a CPU are as far apart as those of
    /// any other.
    pub cpustat_from_queue: u32,
    /// From `runqueues` to `tick_cpu_sched`.
    pub tick_from_queue: u32,
    /// [`IDLE_COUNTED`], [`IDLE_IN_TICK_SCHED`] or [`IDLE_IN_CPUSTAT`]: tells
    /// the structure of the fields that begin with `idle_`.
    pub idle_in: u32,
    /// Of `idle_sleeptime_seq.sequence`.
    pub idle_sequence: u32,
    /// Of `idle_entrytime`.
    pub idle_entry: u32,
    /// Of the byte that tells whether the CPU idles.
    pub idle_active: u32,
    /// The bits of it that do.
    pub idle_active_mask: u32,
    /// Of the byte that tells whether the CPU stops its tick when it idles.
    pub tickless: u32,
    /// The bits of it that do.
    pub tickless_mask: u32,
    /// Of `tick_sched.idle_sleeptime`.
    pub idle_slept: u32,
    /// Of `tick_sched.iowait_sleeptime`.
    pub iowait_slept: u32,
    /// Of `kernel_cpustat.idle_stealtime`.
    pub idle_stolen: u32,
    /// Of `kernel_cpustat.cpustat`.
    pub states: u32,
    /// Of `task_struct.se.cfs_rq`.
    pub task_cfs_queue: u32,
    /// Of `cfs_rq.rq`.
    pub cfs_queue: u32,
    /// Of `rq.cpu`.
    pub rq_cpu: u32,
    /// Of `rq.curr`.
    pub rq_current: u32,
    /// Of `rq.nr_running`.
    pub rq_running: u32,
    /// Of `rq.nr_iowait`.
    pub rq_waiting_for_io: u32,
    /// Of `rq.nr_switches`.
    pub rq_switches: u32,
    /// Of `rq.online`.
    pub rq_online: u32,
    /// Of `rq.clock`.
    pub rq_clock: u32,
    /// Of `rq.clock_task`.
    pub rq_clock_task: u32,
    /// Of `task_struct.se.exec_start`.
    pub task_charged_until: u32,
}

impl CpuOffsets {
    /// Before the loader has filled them in.
    pub const UNKNOWN: Self = Self {
        cpustat_from_queue: 0,
        tick_from_queue: 0,
        idle_in: IDLE_COUNTED,
        idle_sequence: ABSENT,
        idle_entry: ABSENT,
        idle_active: ABSENT,
        idle_active_mask: 0,
        tickless: ABSENT,
        tickless_mask: 0,
        idle_slept: ABSENT,
        iowait_slept: ABSENT,
        idle_stolen: ABSENT,
        states: ABSENT,
        task_cfs_queue: ABSENT,
        cfs_queue: ABSENT,
        rq_cpu: ABSENT,
        rq_current: ABSENT,
        rq_running: ABSENT,
        rq_waiting_for_io: ABSENT,
        rq_switches: ABSENT,
        rq_online: ABSENT,
        rq_clock: ABSENT,
        rq_clock_task: ABSENT,
        task_charged_until: ABSENT,
    };
}
