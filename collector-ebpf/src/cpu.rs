use crate::BUCKETS;

/// What one CPU did since the programs were attached: an element of the map
/// `CPUS`.
///
/// Only programs that run on that CPU write to it, and no two of them write
/// the same field, so no write needs to be atomic.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
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
    /// Tasks woken by code that ran on this CPU.
    pub wakeups: u64,
    /// Events for which the ring buffer had no room.
    pub events_dropped: u64,
    /// Threads for which there was no free record.
    pub threads_dropped: u64,
    /// Tasks that ran here without a record.
    pub unknown_tasks: u64,
    /// Durations that were left out because a clock had gone backwards or
    /// the start was not known.
    pub discarded: u64,
    /// Durations from the wakeup or the preemption until the CPU was got.
    pub runqueue_wait: [u64; BUCKETS],
    /// Durations from getting the CPU until leaving it.
    pub on_cpu: [u64; BUCKETS],
    /// Durations from going to sleep until the wakeup.
    pub off_cpu: [u64; BUCKETS],
}
