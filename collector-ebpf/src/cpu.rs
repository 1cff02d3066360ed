use crate::BUCKETS;

/// [`CpuCounters::off_ns`] of a task that got its CPU before it had a record.
pub const UNSEEN: u64 = u64::MAX;

/// What one CPU did since the programs were attached: an element of the map
/// `CPUS`.
///
/// Only programs that run on that CPU write to it. Since Linux 7.0 the switch
/// program may come in the midst of another one, which the kernel may preempt
/// ([`a46023d5616e`](https://git.kernel.org/torvalds/c/a46023d5616e)); so what
/// those write is added in one instruction.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// Who has it, and how often it changed hands: all that a tick reads.
    pub counters: CpuCounters,
    /// How long the waits and slices were: read when somebody asks for them.
    pub latency: Latency,
}

/// Who has a CPU now, and the counters of that CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// When the current task got this CPU, by `bpf_ktime_get_ns`; 0 before the
    /// first switch.
    pub since_ns: u64,
    /// The address of the `task_struct` that has the CPU, to recognise it when
    /// it leaves. While a task has the CPU no other can be at its address.
    pub task: u64,
    /// The element of `THREADS` of the current task, or [`NO_THREAD`].
    ///
    /// [`NO_THREAD`]: crate::NO_THREAD
    pub thread: u32,
    /// The number of the current task; 0 is the idle task.
    pub tid: u32,
    /// How long the current task had been off every CPU before it got this
    /// one, asleep or waiting; 0 if that is not known, or [`UNSEEN`].
    pub off_ns: u64,
    /// How long the current task had waited for this CPU: only where the
    /// kernel does not count that itself.
    pub wait_ns: u64,
    /// How far the scheduler's clock is behind `bpf_ktime_get_ns`, in numbers
    /// that wrap around, and when that was looked at last, by the scheduler's
    /// clock; 0 if never.
    pub clock_behind_ns: u64,
    /// See [`clock_behind_ns`](Self::clock_behind_ns).
    pub clock_looked_ns: u64,
    /// The address of the run queue of this CPU, once one was seen to be; 0
    /// before.
    pub queue: u64,
    /// Time charged to tasks.
    pub busy_ns: u64,
    /// Time in which the idle task had the CPU.
    pub idle_ns: u64,
    /// The part of `busy_ns` of tasks that had no record.
    pub unattributed_ns: u64,
    /// Switches away from a task that went to sleep.
    pub voluntary_switches: u64,
    /// Switches away from a task that could have gone on.
    pub involuntary_switches: u64,
    /// Switches away from the idle task.
    pub idle_switches: u64,
    /// Tasks woken by code that ran on this CPU: only where the wakeups are
    /// watched.
    pub wakeups: u64,
    /// Events for which the ring buffer had no room.
    pub events_dropped: u64,
    /// Those of them that told the end of a thread: user space finds that by
    /// the record of the thread too.
    pub ends_dropped: u64,
    /// Threads for which there was no free record.
    pub threads_dropped: u64,
    /// Tasks that ran here without a record.
    pub unknown_tasks: u64,
    /// Processes that got their first record with a CPU here, since their fork
    /// was not seen.
    pub begun_unseen: u64,
    /// When a record was last asked for here in vain, by a task that got this
    /// CPU; 0 if never.
    pub refused_ns: u64,
    /// Slices of which it is not known what came before them, because the
    /// task had got its CPU unseen.
    pub discarded: u64,
}

/// The durations on one CPU, counted when a task leaves it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// From the wakeup or the preemption until the CPU was got.
    pub runqueue_wait: Histogram,
    /// From getting the CPU until leaving it.
    pub on_cpu: Histogram,
    /// From going to sleep until the wakeup.
    pub off_cpu: Histogram,
}

/// Durations, by how long they were.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    /// The sum of the durations, in ns.
    pub sum_ns: u64,
    /// How many fell into each bucket: see [`bucket_of`](crate::bucket_of).
    pub buckets: [u64; BUCKETS],
}
