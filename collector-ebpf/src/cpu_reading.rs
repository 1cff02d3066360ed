/// How many CPUs one run of the program `read_cpus` reads. The verifier goes
/// through each of them: 8 are 15,000 instructions to it, 64 would be 475,000,
/// and to that of 5.10 more than the million that it takes.
pub const CPUS_A_RUN: u32 = 8;

/// How many CPUs one run passes over at most before it reads any, since they
/// were never there: a host may have 2 CPUs, and 256 that are possible.
pub const CPUS_PASSED_OVER: u32 = 256;

/// How many states `kernel_cpustat.cpustat` begins with, in the order of
/// `enum cpu_usage_stat` of `include/linux/kernel_stat.h`.
pub const CPU_STATES: usize = 10;

/// What the kernel knew of one CPU when the program `read_cpus` came by: an
/// element of the map `CPU_TIMES`.
///
/// All are copies of the kernel's own fields, but for the first two.
/// [`forks`](Self::forks) is written by a program that runs on that CPU and
/// writes nothing else here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuReading {
    /// Tasks made by code that ran on this CPU, since the programs were
    /// attached.
    pub forks: u64,
    /// The address of the CPU's `struct rq`; 0 until it is found.
    pub queue: u64,
    /// When it was read, by `bpf_ktime_get_ns`; 0 if it never was.
    pub at_ns: u64,
    /// `kernel_cpustat.cpustat`: nanoseconds in each state.
    pub states: [u64; CPU_STATES],
    /// `idle_entrytime`: since when the idle time is not in the sums.
    pub idle_since_ns: u64,
    /// `tick_sched.idle_sleeptime`, where the kernel has it.
    pub idle_slept_ns: u64,
    /// `tick_sched.iowait_sleeptime`, where the kernel has it.
    pub iowait_slept_ns: u64,
    /// `kernel_cpustat.idle_stealtime`, where the kernel has it: stolen time
    /// that is to be taken off the idle and the iowait time in flight.
    pub idle_stolen_ns: [u64; 2],
    /// Not 0 if the CPU idles.
    pub is_idle: u32,
    /// Not 0 if the CPU stops its tick when it idles.
    pub is_tickless: u32,
    /// Not 0 if tasks may run on it.
    pub is_online: u32,
    /// 1 if nothing changed while it was read.
    pub is_whole: u32,
    /// `rq.nr_running`.
    pub running: u32,
    /// `rq.nr_iowait`.
    pub waiting_for_io: u32,
    /// `rq.nr_switches`.
    pub switches: u64,
    /// `rq.clock`, as of its last update.
    pub clock_ns: u64,
    /// `rq.clock_task`, as of its last update: `rq.clock` without the time
    /// that was stolen or went to interrupts.
    pub clock_task_ns: u64,
    /// `CpuCounters::since_ns` when it was read.
    pub noted_ns: u64,
    /// `CpuCounters::task` when it was read.
    pub noted_task: u64,
    /// `rq.curr`: the address of the current task. Another one than was noted
    /// if its switch was not seen: some kernels hide those of some tasks.
    pub task: u64,
    /// The element of `THREADS` of the current task; [`NO_THREAD`] if it has
    /// none, or is the idle task.
    ///
    /// [`NO_THREAD`]: crate::NO_THREAD
    pub thread: u32,
    /// Its number; 0 for the idle task. What follows is not read of that one.
    pub tid: u32,
    /// `se.exec_start`: up to where it was charged, by `rq.clock_task`.
    pub charged_until_ns: u64,
    /// `se.sum_exec_runtime`.
    pub cpu_ns: u64,
    /// `utime`.
    pub user_ns: u64,
    /// `stime`.
    pub system_ns: u64,
    /// `sched_info.run_delay`, where the kernel keeps it.
    pub runqueue_ns: u64,
    /// `min_flt`.
    pub minor_faults: u64,
    /// `maj_flt`.
    pub major_faults: u64,
}

impl CpuReading {
    /// Since when the current task has had the CPU, by `bpf_ktime_get_ns`;
    /// `None` if its switch was not seen.
    #[must_use]
    pub const fn since_ns(&self) -> Option<u64> {
        if self.noted_task == self.task {
            Some(self.noted_ns)
        } else {
            None
        }
    }
}
