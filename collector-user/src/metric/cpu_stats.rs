use serde::{Deserialize, Serialize};

use super::{Kind, MetricInfo, Reading, Tier};

/// What each CPU did since the machine started.
///
/// Sources: `/proc/stat`; with the eBPF backend the counters from which the
/// kernel makes that file, to the nanosecond, and the scheduler's tracepoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuStats {
    /// One row for each CPU that is online, in the order of their numbers.
    pub cpus: Vec<CpuTimes>,
    /// The sum of all CPUs, those included that have gone offline.
    pub total: CpuTimes,
    /// Processes and threads made since the machine started.
    pub forks: Option<u64>,
    /// Tasks that are running or wait for a CPU.
    pub procs_running: Option<u64>,
    /// Tasks in uninterruptible sleep.
    pub procs_blocked: Option<u64>,
    /// Records of lifecycle events that the kernel side could not hand over,
    /// because the ring buffer was full. eBPF only.
    pub events_dropped: Option<u64>,
    /// Threads for which the kernel side had no free record: their time is in
    /// `unattributed_ns` until the next pass over all tasks finds them. eBPF
    /// only.
    pub threads_dropped: Option<u64>,
}

/// The times and switches of one CPU, or of all.
///
/// Guest time is inside user time, and guest nice time inside nice time: a sum
/// of the states leaves both guest fields out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTimes {
    /// The number of the CPU; `None` in the total.
    pub cpu: Option<u32>,
    /// Time in user mode.
    pub user_ns: Option<u64>,
    /// Time in user mode of niced processes.
    pub nice_ns: Option<u64>,
    /// Time in kernel mode.
    pub system_ns: Option<u64>,
    /// Time with nothing to do and no I/O awaited.
    pub idle_ns: Option<u64>,
    /// Time with nothing to do while a task of this CPU awaited I/O.
    pub iowait_ns: Option<u64>,
    /// Time in hardware interrupts.
    pub irq_ns: Option<u64>,
    /// Time in software interrupts.
    pub softirq_ns: Option<u64>,
    /// Time that the hypervisor gave to others.
    pub steal_ns: Option<u64>,
    /// Time spent running a guest: part of `user_ns`.
    pub guest_ns: Option<u64>,
    /// Time spent running a niced guest: part of `nice_ns`.
    pub guest_nice_ns: Option<u64>,
    /// Context switches. `/proc/stat` has the total only; the eBPF backend also
    /// those of each CPU.
    pub context_switches: Option<u64>,
    /// Time that the scheduler charged to tasks on this CPU, to the
    /// nanosecond, since the programs were attached. The `cpu_ns` of all
    /// processes, alive and gone, grows by the same. eBPF only.
    pub busy_ns: Option<u64>,
    /// Time in which the idle task had the CPU, since the programs were
    /// attached. eBPF only.
    pub idle_task_ns: Option<u64>,
    /// Part of `busy_ns` that could be charged to no process, because its
    /// task was not known yet. eBPF only.
    pub unattributed_ns: Option<u64>,
    /// Switches away from a task that went to sleep, since the programs were
    /// attached. eBPF only.
    pub voluntary_switches: Option<u64>,
    /// Switches away from a task that could have gone on, since the programs
    /// were attached. eBPF only.
    pub involuntary_switches: Option<u64>,
    /// Switches away from the idle task, since the programs were attached.
    /// eBPF only.
    pub idle_switches: Option<u64>,
    /// Tasks woken by code that ran on this CPU, since the programs were
    /// attached. Only where the kernel does not count the waits of a task
    /// itself, so that the wakeups have to be watched.
    pub wakeups: Option<u64>,
}

impl Reading for CpuStats {
    const METRIC: MetricInfo = MetricInfo {
        name: "cpu_stats",
        tier: Tier::Fast,
        kind: Kind::State,
        help: "Time in each state, switches and wakeups, per CPU",
    };

    fn heap_bytes(&self) -> usize {
        self.cpus.capacity() * size_of::<CpuTimes>()
    }
}
