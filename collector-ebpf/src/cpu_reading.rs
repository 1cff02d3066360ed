/// The number of CPUs that one run of the program `read_cpus` reads. The
/// verifier checks each of them: 8 CPUs are 15,000 instructions to it, 64 would
/// be 475,000, and on 5.10 more than its limit of a million.
pub const CPUS_PER_RUN: u32 = 8;

/// The most CPUs that one run skips before it reads any, because they were
/// never online: a host may have 2 CPUs and 256 possible ones.
pub const CPUS_SKIPPED_PER_RUN: u32 = 256;

/// The number of states at the start of `kernel_cpustat.cpustat`, in the order
/// of `enum cpu_usage_stat` of `include/linux/kernel_stat.h`.
pub const CPU_STATES: usize = 10;

/// The kernel's own accounting of one CPU at the time when the program
/// `read_cpus` ran: an element of the map `CPU_TIMES`.
///
/// All fields but the first two are copies of fields of the kernel.
/// [`forks`](Self::forks) is written by a program that runs on that CPU and
/// writes nothing else here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuReading {
    /// Tasks created by code on this CPU since the programs were attached.
    pub forks: u64,
    /// The address of the CPU's `struct rq`; 0 until it is known.
    pub rq: u64,
    /// When the CPU was read, by `bpf_ktime_get_ns`; 0 if it never was.
    pub at_ns: u64,
    /// `kernel_cpustat.cpustat`: nanoseconds in each state.
    pub cpustat: [u64; CPU_STATES],
    /// `idle_entrytime`: idle time since then is not in the sums yet.
    pub idle_entrytime_ns: u64,
    /// `tick_sched.idle_sleeptime`, where the kernel has it.
    pub idle_sleeptime_ns: u64,
    /// `tick_sched.iowait_sleeptime`, where the kernel has it.
    pub iowait_sleeptime_ns: u64,
    /// `kernel_cpustat.idle_stealtime`, where the kernel has it: steal time to
    /// be subtracted from the idle and the iowait time in flight.
    pub idle_stealtime_ns: [u64; 2],
    /// Not 0 if the CPU is idle.
    pub is_idle: u32,
    /// Not 0 if the CPU stops its tick when idle (`nohz`).
    pub is_nohz: u32,
    /// Not 0 if the CPU is online: tasks may run on it.
    pub is_online: u32,
    /// 1 if nothing changed while the CPU was read.
    pub is_consistent: u32,
    /// `rq.nr_running`.
    pub nr_running: u32,
    /// `rq.nr_iowait`.
    pub nr_iowait: u32,
    /// `rq.nr_switches`.
    pub switches: u64,
    /// `rq.clock`, as of its last update.
    pub clock_ns: u64,
    /// `rq.clock_task`, as of its last update: `rq.clock` without steal time
    /// and time in interrupts.
    pub clock_task_ns: u64,
    /// `CpuCounters::since_ns` when the CPU was read.
    pub switched_in_ns: u64,
    /// `CpuCounters::task` when the CPU was read.
    pub switched_in_task: u64,
    /// `rq.curr`: the address of the current task. Differs from
    /// `switched_in_task` if its switch-in was not seen: some kernels hide the
    /// switches of some tasks.
    pub task: u64,
    /// The element of `THREADS` of the current task; [`NO_SLOT`] if it has
    /// none, or is the idle task.
    ///
    /// [`NO_SLOT`]: crate::NO_SLOT
    pub slot: u32,
    /// The thread ID of the current task; 0 for the idle task, of which the
    /// fields below are not read.
    pub tid: u32,
    /// `se.exec_start`: the time up to which it was charged, by
    /// `rq.clock_task`.
    pub exec_start_ns: u64,
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
    /// When the current task was switched in, by `bpf_ktime_get_ns`; `None` if
    /// its switch-in was not seen.
    #[must_use]
    pub const fn since_ns(&self) -> Option<u64> {
        if self.switched_in_task == self.task {
            Some(self.switched_in_ns)
        } else {
            None
        }
    }
}
