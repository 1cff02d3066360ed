use crate::BUCKETS;

/// What one CPU did since the programs were attached: an element of the map
/// `CPUS`.
///
/// Only programs that run on that CPU write to it, with two exceptions: user
/// space writes [`drain`](CpuCounters::drain), and before the first switch the
/// iterator, on whatever CPU, notes who has this one in
/// [`task`](CpuCounters::task), [`tid`](CpuCounters::tid) and
/// [`since_ns`](CpuCounters::since_ns): the first switch writes these anew,
/// whatever it finds there. Since Linux 7.0 the switch program may come in the
/// midst of another one, which the kernel may preempt
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

/// Who has a CPU now, and the counters of that CPU. What most switches touch
/// stands first, in two cache lines.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// When the current task got this CPU, by `bpf_ktime_get_ns`; 0 before the
    /// first switch.
    pub since_ns: u64,
    /// The address of the `task_struct` that has the CPU, to recognise it when
    /// it leaves. While a task has the CPU no other can be at its address.
    pub task: u64,
    /// The number of the current task; 0 is the idle task.
    pub tid: u32,
    /// How often user space has drained the map `TOUCHED`, in numbers that
    /// wrap around.
    pub drain: u32,
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
    /// Switches away from a task that went to sleep.
    pub voluntary_switches: u64,
    /// The sum of [`Durations::on_cpu`].
    pub on_cpu_ns: u64,
    /// The sum of [`Durations::runqueue_wait`].
    pub runqueue_wait_ns: u64,
    /// The sum of [`Durations::off_cpu`].
    pub off_cpu_ns: u64,
    /// Switches away from a task that could have gone on.
    pub involuntary_switches: u64,
    /// Time in which the idle task had the CPU.
    pub idle_ns: u64,
    /// Switches away from the idle task.
    pub idle_switches: u64,
    /// Tasks woken by code that ran on this CPU: only where the wakeups are
    /// watched.
    pub wakeups: u64,
    /// The part of `busy_ns` of tasks that had no record.
    pub unattributed_ns: u64,
    /// Events for which the ring buffer had no room.
    pub events_dropped: u64,
    /// Those of them that told the end of a thread: user space finds that by
    /// the record of the thread too.
    pub ends_dropped: u64,
    /// Threads for which there was no free record.
    pub threads_dropped: u64,
    /// Tasks that left this CPU without a record.
    pub unknown_tasks: u64,
    /// Processes that got their first record as they left this CPU, since
    /// their fork was not seen.
    pub begun_unseen: u64,
    /// When a record was last asked for here in vain, by a task that left this
    /// CPU; 0 if never.
    pub refused_ns: u64,
    /// Slices of which it is not known what came before them, because the
    /// task had got its CPU unseen, or before it had a record.
    pub discarded: u64,
    /// Zero.
    pub reserved: u64,
}

const _: () = assert!(
    size_of::<CpuCounters>() == 192 && size_of::<Cpu>().is_multiple_of(4096),
    "whole cache lines and whole pages, so that no two CPUs write to the same"
);

/// The durations on one CPU, counted when a task leaves it.
///
/// Of each bucket the three counters stand together: where tasks are switched
/// often, their waits, slices and sleeps are about as long, and so what a
/// switch writes to is in one page, and mostly in two or three cache lines.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// By how long they were: see [`bucket_of`](crate::bucket_of).
    pub buckets: [Durations; BUCKETS],
    /// Zeros, which make a whole number of pages.
    pub reserved: [u64; RESERVED],
}

/// How many durations fell into a bucket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// From the wakeup or the preemption until the CPU was got.
    pub runqueue_wait: u64,
    /// From getting the CPU until leaving it.
    pub on_cpu: u64,
    /// From going to sleep until the wakeup.
    pub off_cpu: u64,
}

/// What is left of two pages of 4 KiB.
const RESERVED: usize =
    (2 * 4096 - size_of::<CpuCounters>() - BUCKETS * size_of::<Durations>()) / size_of::<u64>();
