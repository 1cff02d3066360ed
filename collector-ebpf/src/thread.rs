/// In place of an element of `THREADS`: the task has no record.
pub const NO_SLOT: u32 = u32::MAX;

/// [`Thread::state`]: the record is free, and user space may reassign it.
pub const THREAD_FREE: u16 = 0;
/// [`Thread::state`]: the thread is alive.
pub const THREAD_LIVE: u16 = 1;
/// [`Thread::state`]: the thread was switched out for the last time, and its
/// counters are final. User space frees the record after it has read them.
pub const THREAD_DEAD: u16 = 2;

/// [`Thread::flags`]: a kernel thread (`PF_KTHREAD`).
pub const KERNEL_THREAD: u16 = 1;
/// [`Thread::flags`]: when this thread started to exit, it was the last of its
/// process to do so (`signal->live` was 0).
pub const GROUP_DEAD: u16 = 2;

/// [`Thread::left_at_ns`]: the thread was on a CPU when its record was
/// assigned, so that its switch-in was not seen.
pub const ON_CPU_WHEN_FOUND: u64 = u64::MAX;

/// One thread: an element of the map `THREADS`.
///
/// The counters are copies of the kernel's own, taken at each switch-out of the
/// thread. The fields are written by programs on the CPU that switches the
/// thread out, or that wakes it; the scheduler orders these, so that no write
/// needs to be atomic.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The thread ID.
    pub tid: u32,
    /// The process ID.
    pub tgid: u32,
    /// The start time of the process: `start_boottime` of the thread-group
    /// leader.
    pub process_start_ns: u64,
    /// [`THREAD_FREE`], [`THREAD_LIVE`] or [`THREAD_DEAD`].
    pub state: u16,
    /// [`KERNEL_THREAD`], [`GROUP_DEAD`].
    pub flags: u16,
    /// The [drain epoch](crate::CpuCounters::drain_epoch) in which the record
    /// was last set dirty: until the next epoch it need not be set again.
    pub dirty_epoch: u32,
    /// `task_struct.__state` at the last voluntary switch-out; 0 if the thread
    /// was runnable when it was switched out, or was woken since (only where
    /// the wakeup tracepoints are attached). With
    /// [`FOUND_ASLEEP`](crate::FOUND_ASLEEP) if it was asleep when its record
    /// was assigned.
    pub task_state: u32,
    /// The wait status of the process, if `flags` has [`GROUP_DEAD`].
    pub exit_code: u32,
    /// CPU time: `se.sum_exec_runtime`.
    pub cpu_ns: u64,
    /// CPU time in user mode as sampled by the timer tick: `utime`.
    pub user_ns: u64,
    /// CPU time in kernel mode as sampled by the timer tick: `stime`.
    pub system_ns: u64,
    /// Run-queue wait up to the last switch-in: `sched_info.run_delay` where
    /// the kernel keeps it.
    pub runqueue_ns: u64,
    /// Sleep, from the switch-out to the wakeup, except
    /// [`uninterruptible_ns`](Self::uninterruptible_ns).
    pub interruptible_ns: u64,
    /// [Uninterruptible](crate::is_uninterruptible) sleep.
    pub uninterruptible_ns: u64,
    /// `nvcsw`.
    pub voluntary_switches: u64,
    /// `nivcsw`.
    pub involuntary_switches: u64,
    /// `min_flt`.
    pub minor_faults: u64,
    /// `maj_flt`.
    pub major_faults: u64,
    /// When the thread was last switched out; it may be on a CPU again. 0
    /// before its first switch-out, or [`ON_CPU_WHEN_FOUND`]. The time of the
    /// last wakeup if that was later and the wakeup tracepoints are attached.
    /// When the record was assigned, if the thread was not on a CPU then.
    pub left_at_ns: u64,
    /// The address of its `task_struct`; 0 after the last switch-out.
    pub task: u64,
}

const _: () = assert!(
    size_of::<Thread>() == 128,
    "two cache lines, and no padding"
);
