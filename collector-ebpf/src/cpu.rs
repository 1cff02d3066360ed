use crate::BUCKETS;

/// The accounting of one CPU since the programs were attached: an element of
/// the map `CPUS`.
///
/// Only programs that run on that CPU write to it, with two exceptions: user
/// space writes [`drain_epoch`](CpuCounters::drain_epoch), and until the first
/// context switch of the CPU is seen, the task iterator, which runs on any CPU,
/// stores its current task in [`task`](CpuCounters::task),
/// [`tid`](CpuCounters::tid) and [`since_ns`](CpuCounters::since_ns); the first
/// switch overwrites these. Since Linux 7.0 the switch program may interrupt
/// another program on the same CPU, because tracepoint programs are preemptible
/// ([`a46023d5616e`](https://git.kernel.org/torvalds/c/a46023d5616e)); so
/// counters that other programs add to are added to in one instruction.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// The current task and the counters: all that a tick reads.
    pub counters: CpuCounters,
    /// The histograms of run-queue waits, slices and sleeps: read for
    /// `sched_latency` only.
    pub latency: Latency,
}

/// The current task of a CPU, and the counters of that CPU. The fields that
/// most switches write come first, in two cache lines.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// When the current task was switched in, by `bpf_ktime_get_ns`; 0 before
    /// the first switch.
    pub since_ns: u64,
    /// The address of the `task_struct` of the current task, to recognise it
    /// when it is switched out. While a task is on a CPU, no other task can
    /// have its address.
    pub task: u64,
    /// The thread ID of the current task; 0 for the idle task.
    pub tid: u32,
    /// The number of times that user space has drained the map `DIRTY`;
    /// wraps around.
    pub drain_epoch: u32,
    /// `bpf_ktime_get_ns` minus the scheduler's clock (`rq.clock`), modulo
    /// 2^64.
    pub clock_offset_ns: u64,
    /// When [`clock_offset_ns`](Self::clock_offset_ns) was last measured, by
    /// the scheduler's clock; 0 if never.
    pub clock_synced_ns: u64,
    /// The address of the CPU's `struct rq`, once known; 0 before.
    pub rq: u64,
    /// Time charged to tasks.
    pub busy_ns: u64,
    /// Voluntary context switches: away from a task that went to sleep.
    pub voluntary_switches: u64,
    /// The sum of [`Durations::on_cpu`].
    pub on_cpu_ns: u64,
    /// The sum of [`Durations::runqueue_wait`].
    pub runqueue_wait_ns: u64,
    /// The sum of [`Durations::off_cpu`].
    pub off_cpu_ns: u64,
    /// Involuntary context switches: away from a task that was still runnable.
    pub involuntary_switches: u64,
    /// Time in which the idle task was running.
    pub idle_ns: u64,
    /// Context switches away from the idle task.
    pub idle_switches: u64,
    /// Tasks woken by code on this CPU. Counted only where the wakeup
    /// tracepoints are attached.
    pub wakeups: u64,
    /// The part of `busy_ns` of tasks that had no thread record.
    pub unattributed_ns: u64,
    /// Events dropped because the ring buffer was full.
    pub events_dropped: u64,
    /// The part of `events_dropped` that were
    /// [`ThreadEndEvent`](crate::ThreadEndEvent)s: user space finds the exit of
    /// those threads in their records.
    pub ends_dropped: u64,
    /// Threads for which there was no free record.
    pub threads_dropped: u64,
    /// Tasks that were switched out on this CPU without having a record.
    pub untracked_tasks: u64,
    /// Processes whose fork was not seen, and that got their first record when
    /// they were switched out here.
    pub forks_unseen: u64,
    /// When a switched-out task last found no free record here; 0 if never.
    pub no_slot_at_ns: u64,
    /// Slices that are in no histogram, because the switch-in, or what preceded
    /// it, was not seen.
    pub untimed_slices: u64,
    /// Zero.
    pub reserved: u64,
}

const _: () = assert!(
    size_of::<CpuCounters>() == 192 && size_of::<Cpu>().is_multiple_of(4096),
    "whole cache lines and whole pages, so that no two CPUs write to the same one"
);

/// Histograms of the durations on one CPU, updated when a task is switched out.
///
/// The three counters of a bucket are adjacent: where tasks are switched often,
/// waits, slices and sleeps have similar lengths, so that the counters that a
/// switch writes are in one page, and mostly in two or three cache lines.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// One element per bucket: see [`bucket_of`](crate::bucket_of).
    pub buckets: [Durations; BUCKETS],
    /// Zeros, which pad to whole pages.
    pub reserved: [u64; RESERVED],
}

/// The number of durations in one bucket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Run-queue waits: from the wakeup or the preemption to the switch-in.
    pub runqueue_wait: u64,
    /// Slices: from the switch-in to the switch-out.
    pub on_cpu: u64,
    /// Sleeps: from the switch-out to the wakeup.
    pub off_cpu: u64,
}

/// What remains of two pages of 4 KiB.
const RESERVED: usize =
    (2 * 4096 - size_of::<CpuCounters>() - BUCKETS * size_of::<Durations>()) / size_of::<u64>();
