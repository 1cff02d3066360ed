use serde::{Deserialize, Serialize};

use super::{Reading, Record};

/// Time in each state, context switches and wakeups, per CPU.
///
/// Source: `/proc/stat`; with the eBPF backend the kernel counters behind that file, in
/// nanoseconds, and the scheduler tracepoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Reading)]
#[metric(
    name = "cpu_stats",
    tier = "fast",
    prefix = "host",
    sources("/proc/stat")
)]
pub struct CpuStats {
    /// One row per online CPU, by number.
    #[field(1)]
    pub cpus: Vec<CpuTimes>,
    /// The sum over all CPUs, those included that have gone offline.
    #[field(2)]
    #[series(skip)]
    pub total: CpuTimes,
    /// Processes and threads created since boot.
    #[field(3, counter)]
    pub forks: Option<u64>,
    /// Runnable tasks: on a CPU or on a run queue.
    #[field(4)]
    #[series("tasks_running")]
    pub procs_running: Option<u64>,
    /// Tasks in uninterruptible sleep.
    #[field(5)]
    #[series("tasks_blocked")]
    pub procs_blocked: Option<u64>,
    /// Lifecycle events that found no room in the ring buffer.
    #[field(6, counter)]
    #[series("collector_events_dropped_total")]
    pub events_dropped: Option<u64>,
    /// Threads for which the eBPF programs had no free record: their time is in `unattributed_ns`
    /// until the next pass over all tasks finds them.
    #[field(7, counter)]
    #[series("collector_threads_dropped_total")]
    pub threads_dropped: Option<u64>,
}

/// The times and context switches of one CPU, or of all.
///
/// Guest time is part of user time, and guest nice time of nice time: a sum over the states leaves
/// both guest fields out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_cpu")]
pub struct CpuTimes {
    /// CPU number; `None` in the total.
    #[field(1, key)]
    pub cpu: Option<u32>,
    /// User mode.
    #[field(2, counter)]
    #[series(
        "seconds_total",
        mode = "user",
        help = "CPU time by mode since boot. Guest time is part of user and nice."
    )]
    pub user_ns: Option<u64>,
    /// User mode of niced processes.
    #[field(3, counter)]
    #[series("seconds_total", mode = "nice")]
    pub nice_ns: Option<u64>,
    /// Kernel mode.
    #[field(4, counter)]
    #[series("seconds_total", mode = "system")]
    pub system_ns: Option<u64>,
    /// Idle, without outstanding I/O.
    #[field(5, counter)]
    #[series("seconds_total", mode = "idle")]
    pub idle_ns: Option<u64>,
    /// Idle, while a task of this CPU waited for I/O.
    #[field(6, counter)]
    #[series("seconds_total", mode = "iowait")]
    pub iowait_ns: Option<u64>,
    /// Hardware interrupts.
    #[field(7, counter)]
    #[series("seconds_total", mode = "irq")]
    pub irq_ns: Option<u64>,
    /// Software interrupts.
    #[field(8, counter)]
    #[series("seconds_total", mode = "softirq")]
    pub softirq_ns: Option<u64>,
    /// Steal: the hypervisor ran others.
    #[field(9, counter)]
    #[series("seconds_total", mode = "steal")]
    pub steal_ns: Option<u64>,
    /// Running a guest: part of `user_ns`.
    #[field(10, counter)]
    #[series(
        "guest_seconds_total",
        mode = "user",
        help = "CPU time spent running guests: part of user or nice."
    )]
    pub guest_ns: Option<u64>,
    /// Running a niced guest: part of `nice_ns`.
    #[field(11, counter)]
    #[series("guest_seconds_total", mode = "nice")]
    pub guest_nice_ns: Option<u64>,
    /// Context switches. `/proc/stat` has the total only; the eBPF backend also those of each CPU.
    #[field(12, counter)]
    #[series(skip)]
    pub context_switches: Option<u64>,
    /// On-CPU time that the scheduler charged to tasks on this CPU since the programs were
    /// attached. The `cpu_ns` of all processes, live and exited, grows by the same.
    #[field(13, counter, backend = "ebpf")]
    pub busy_ns: Option<u64>,
    /// Time in which the idle task was on the CPU since the programs were attached.
    #[field(14, counter, backend = "ebpf")]
    pub idle_task_ns: Option<u64>,
    /// The part of `busy_ns` that could not be charged to a process, because its task was not known
    /// yet.
    #[field(15, counter, backend = "ebpf")]
    pub unattributed_ns: Option<u64>,
    /// Voluntary context switches since the programs were attached: the task went to sleep.
    #[field(16, counter, backend = "ebpf")]
    #[series(
        "switches_total",
        reason = "voluntary",
        help = "Context switches by type since the programs were attached."
    )]
    pub voluntary_switches: Option<u64>,
    /// Involuntary context switches since the programs were attached: the task was still runnable.
    #[field(17, counter, backend = "ebpf")]
    #[series("switches_total", reason = "involuntary")]
    pub involuntary_switches: Option<u64>,
    /// Context switches away from the idle task since the programs were attached.
    #[field(18, counter, backend = "ebpf")]
    #[series("switches_total", reason = "idle")]
    pub idle_switches: Option<u64>,
    /// Wakeups by code that ran on this CPU since the programs were attached. Only where the kernel
    /// does not count the run-queue wait of a task itself, so that wakeups have to be traced.
    #[field(19, counter)]
    pub wakeups: Option<u64>,
}
