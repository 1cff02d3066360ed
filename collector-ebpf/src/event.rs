use crate::COMM_LEN;

/// [`EventHeader::kind`]: a [`ForkEvent`].
pub const EVENT_FORK: u32 = 1;
/// [`EventHeader::kind`]: an [`ExecEvent`].
pub const EVENT_EXEC: u32 = 2;
/// [`EventHeader::kind`]: a [`ThreadEndEvent`].
pub const EVENT_THREAD_END: u32 = 3;
/// [`EventHeader::kind`]: a [`CgroupMoveEvent`].
pub const EVENT_CGROUP_MOVE: u32 = 4;

/// The most bytes of the path of an executed file that are kept, its final
/// zero included.
pub const FILENAME_MAX: usize = 256;

/// The most bytes of arguments that are kept.
pub const ARGV_MAX: usize = 4096;

/// What every record of the ring buffer `EVENTS` begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventHeader {
    /// [`EVENT_FORK`], [`EVENT_EXEC`], [`EVENT_THREAD_END`] or
    /// [`EVENT_CGROUP_MOVE`].
    pub kind: u32,
    /// The number of the process.
    pub pid: u32,
    /// When, by `bpf_ktime_get_ns`.
    pub time_ns: u64,
    /// When the process began: `start_boottime` of its leading thread.
    pub process_start_ns: u64,
}

/// A process was made.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// The process that made it.
    pub ppid: u32,
    /// Its effective user; `u32::MAX` where it is not known.
    pub uid: u32,
    /// The flags of its thread record.
    pub flags: u32,
    /// Keeps the record free of hidden padding.
    pub reserved: u32,
    /// The name that it has from its parent.
    pub comm: [u8; COMM_LEN],
    /// Its cgroup of version 2; 0 where it is not known.
    pub cgroup_id: u64,
    /// Which program it executes: `self_exec_id`, which it has from its parent.
    pub exec_id: u64,
}

/// A process became another program.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExecEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// Its parent.
    pub ppid: u32,
    /// Its effective user; `u32::MAX` where it is not known.
    pub uid: u32,
    /// How many bytes of `filename` are filled, the final zero included; 0
    /// where it could not be read.
    pub filename_len: u32,
    /// How many bytes of `argv` are filled; 0 where they could not be read.
    pub argv_len: u32,
    /// How many bytes the arguments really have.
    pub argv_full_len: u64,
    /// Which program it executes: `self_exec_id`, which grows with each.
    pub exec_id: u64,
    /// Its new name.
    pub comm: [u8; COMM_LEN],
    /// The file that was executed, as it was asked for.
    pub filename: [u8; FILENAME_MAX],
    /// The arguments, each with a final zero. The record ends after
    /// `argv_len` bytes of it.
    pub argv: [u8; ARGV_MAX],
}

/// A thread left its last CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadEndEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// The element of `THREADS` that holds its final counters.
    pub thread: u32,
    /// The number of the thread.
    pub tid: u32,
}

/// A process was moved to another cgroup, of either version.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupMoveEvent {
    /// Kind, process and time.
    pub header: EventHeader,
    /// Its cgroup of version 2 now; 0 where it is not known. The same as
    /// before if it was moved in a hierarchy of version 1.
    pub cgroup_id: u64,
    /// What its leading thread had used: `se.sum_exec_runtime`, which is up to
    /// date to a timer tick while the thread runs.
    pub cpu_ns: u64,
    /// The element of `THREADS` of its leading thread, or
    /// [`NO_THREAD`](crate::NO_THREAD).
    pub thread: u32,
    /// Keeps the record free of hidden padding.
    pub reserved: u32,
}
