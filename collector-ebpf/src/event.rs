use crate::COMM_LEN;

/// [`EventHeader::kind`]: a [`ForkEvent`].
pub const EVENT_FORK: u32 = 1;
/// [`EventHeader::kind`]: an [`ExecEvent`].
pub const EVENT_EXEC: u32 = 2;
/// [`EventHeader::kind`]: a [`ThreadEndEvent`].
pub const EVENT_THREAD_END: u32 = 3;
/// [`EventHeader::kind`]: a [`CgroupMoveEvent`].
pub const EVENT_CGROUP_MOVE: u32 = 4;

/// The most bytes of the path of an executed file that are kept, with the
/// terminating zero.
pub const FILENAME_MAX: usize = 256;

/// The most bytes of arguments that are kept.
pub const ARGV_MAX: usize = 4096;

/// The start of each record of the ring buffer `EVENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventHeader {
    /// [`EVENT_FORK`], [`EVENT_EXEC`], [`EVENT_THREAD_END`] or
    /// [`EVENT_CGROUP_MOVE`].
    pub kind: u32,
    /// The process ID (tgid).
    pub pid: u32,
    /// When the event occurred, by `bpf_ktime_get_ns`.
    pub time_ns: u64,
    /// The start time of the process: `start_boottime` of its thread-group
    /// leader.
    pub process_start_ns: u64,
}

/// A process was created.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// The process that called `fork`.
    pub ppid: u32,
    /// The effective user ID; `u32::MAX` if unknown.
    pub uid: u32,
    /// The flags of its thread record.
    pub flags: u32,
    /// Explicit padding.
    pub reserved: u32,
    /// The command name, inherited from the parent.
    pub comm: [u8; COMM_LEN],
    /// The cgroup v2 ID; 0 if unknown.
    pub cgroup_id: u64,
    /// `self_exec_id`, inherited from the parent.
    pub exec_id: u64,
}

/// A process executed a program. The record in the ring buffer ends after
/// `argv_len` bytes of `argv`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExecEvent {
    /// The part of fixed length.
    pub info: ExecInfo,
    /// The path passed to `execve`.
    pub filename: [u8; FILENAME_MAX],
    /// The arguments, each with a terminating zero.
    pub argv: [u8; ARGV_MAX],
}

/// The part of an [`ExecEvent`] before the text.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecInfo {
    /// Kind, process and time.
    pub header: EventHeader,
    /// The parent process.
    pub ppid: u32,
    /// The effective user ID; `u32::MAX` if unknown.
    pub uid: u32,
    /// The bytes of `filename` that are filled, with the terminating zero; 0 if
    /// it could not be read.
    pub filename_len: u32,
    /// The bytes of `argv` that are filled; 0 if they could not be read.
    pub argv_len: u32,
    /// The length of the arguments before truncation.
    pub argv_full_len: u64,
    /// `self_exec_id`, which each `execve` increments.
    pub exec_id: u64,
    /// The new command name.
    pub comm: [u8; COMM_LEN],
}

/// A thread exited: it was switched out for the last time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadEndEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// The element of `THREADS` that holds its final counters.
    pub slot: u32,
    /// The thread ID.
    pub tid: u32,
}

/// A process was moved to another cgroup, in any hierarchy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupMoveEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// The new cgroup v2 ID; 0 if unknown. Unchanged if the process was moved
    /// in a hierarchy of version 1.
    pub cgroup_id: u64,
    /// `se.sum_exec_runtime` of the thread-group leader: while that is running,
    /// as of its last timer tick.
    pub cpu_ns: u64,
    /// The element of `THREADS` of the thread-group leader, or
    /// [`NO_SLOT`](crate::NO_SLOT).
    pub slot: u32,
    /// Explicit padding.
    pub reserved: u32,
}
