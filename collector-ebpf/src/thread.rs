/// Stands for the record of a task without one.
pub const NO_THREAD: u32 = u32::MAX;

/// [`Thread::state`]: user space may give this record away.
pub const THREAD_FREE: u16 = 0;
/// [`Thread::state`]: the thread exists.
pub const THREAD_LIVE: u16 = 1;
/// [`Thread::state`]: the thread has left its last CPU; the counters are
/// final. Only user space makes the record free again, after it has read them.
pub const THREAD_DEAD: u16 = 2;

/// [`Thread::flags`]: a thread of the kernel.
pub const KERNEL_THREAD: u16 = 1;
/// [`Thread::flags`]: when this thread began to exit, all others of its
/// process had.
pub const GROUP_DEAD: u16 = 2;

/// [`Thread::left_at_ns`]: the thread had a CPU when it got its record.
pub const UNSEEN: u64 = u64::MAX;

/// One thread: an element of the map `THREADS`.
///
/// The counters are copies of the kernel's own, taken each time the thread
/// left a CPU. The fields are written by the programs on the CPU that the
/// thread leaves, or that wakes it, which the scheduler puts in an order; so no
/// write needs to be atomic.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The number of the thread.
    pub tid: u32,
    /// The number of its process.
    pub tgid: u32,
    /// When its process began: `start_boottime` of the leading thread.
    pub process_start_ns: u64,
    /// [`THREAD_FREE`], [`THREAD_LIVE`] or [`THREAD_DEAD`].
    pub state: u16,
    /// [`KERNEL_THREAD`], [`GROUP_DEAD`].
    pub flags: u16,
    /// The [number of the drain](crate::CpuCounters::drain) for which the
    /// record was marked last as changed: until there is another one, it need
    /// not be marked again.
    pub marked: u32,
    /// `task_struct.__state` when it last left a CPU of its own accord, to
    /// sleep; 0 if it could have gone on, or was woken since where the wakeups
    /// are watched. With [`FOUND_ASLEEP`](crate::FOUND_ASLEEP) if it slept when
    /// it got its record.
    pub task_state: u32,
    /// The wait status of the process, where `flags` has [`GROUP_DEAD`].
    pub exit_code: u32,
    /// Time on a CPU: `se.sum_exec_runtime`.
    pub cpu_ns: u64,
    /// Time in user mode as the timer tick saw it: `utime`.
    pub user_ns: u64,
    /// Time in kernel mode as the timer tick saw it: `stime`.
    pub system_ns: u64,
    /// Time that it could run and waited for a CPU, up to the last time that
    /// it left one: `sched_info.run_delay` where the kernel keeps it.
    pub runqueue_ns: u64,
    /// Time asleep, from leaving a CPU until the wakeup, but for
    /// [`uninterruptible_ns`](Self::uninterruptible_ns).
    pub interruptible_ns: u64,
    /// Time asleep in a state [that takes no
    /// signal](crate::is_uninterruptible).
    pub uninterruptible_ns: u64,
    /// `nvcsw`.
    pub voluntary_switches: u64,
    /// `nivcsw`.
    pub involuntary_switches: u64,
    /// `min_flt`.
    pub minor_faults: u64,
    /// `maj_flt`.
    pub major_faults: u64,
    /// When it last left a CPU: it may have one again by now. 0 before it has
    /// left one, or [`UNSEEN`]. Where the wakeups are watched, when it was woken
    /// since; of a thread that was off every CPU when it got its record, when
    /// that was.
    pub left_at_ns: u64,
    /// The address of its `task_struct`; 0 once it has left its last CPU.
    pub task: u64,
}

const _: () = assert!(
    size_of::<Thread>() == 128,
    "two cache lines, and no padding"
);
