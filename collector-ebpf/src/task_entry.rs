use crate::COMM_LEN;

/// One thread as the iterator over all tasks shows it.
///
/// It brings what the switch path does not: names, owners, memory, I/O, and
/// the sums of the threads that ended before the programs were attached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskEntry {
    /// The number of the thread.
    pub tid: u32,
    /// The number of its process.
    pub tgid: u32,
    /// The number of the process' parent.
    pub ppid: u32,
    /// The effective user; `u32::MAX` where it is not known.
    pub uid: u32,
    /// When its process began: `start_boottime` of the leading thread.
    pub process_start_ns: u64,
    /// The element of `THREADS`, or [`NO_THREAD`](crate::NO_THREAD).
    pub thread: u32,
    /// The flags of the thread record.
    pub flags: u32,
    /// `task_struct.__state`.
    pub task_state: u32,
    /// `task_struct.exit_state`.
    pub exit_state: u32,
    /// The CPU that the thread is on, or was on last.
    pub cpu: u32,
    /// Whether it has that CPU now.
    pub on_cpu: u32,
    /// 1 if the record in `THREADS` was made by this visit.
    pub is_new: u32,
    /// 1 if all threads of the process have begun to exit.
    pub is_group_dead: u32,
    /// What the thread had used when this visit made its record; 0 if it did
    /// not.
    pub found_cpu_ns: u64,
    /// The name of the thread.
    pub comm: [u8; COMM_LEN],
    /// Resident pages.
    pub rss_pages: u64,
    /// Virtual pages.
    pub vm_pages: u64,
    /// Bytes that this thread caused to be read from storage.
    pub read_bytes: u64,
    /// Bytes that this thread caused to be written to storage.
    pub write_bytes: u64,
    /// The same of the threads of the process that have ended.
    pub ended_read_bytes: u64,
    /// The same of the threads of the process that have ended.
    pub ended_write_bytes: u64,
    /// Time on a CPU of the threads of the process that have ended and have no
    /// record: `signal->sum_sched_runtime`, and that of the leading thread.
    pub ended_cpu_ns: u64,
    /// As `signal->utime`.
    pub ended_user_ns: u64,
    /// As `signal->stime`.
    pub ended_system_ns: u64,
    /// As `signal->nvcsw`.
    pub ended_voluntary_switches: u64,
    /// As `signal->nivcsw`.
    pub ended_involuntary_switches: u64,
    /// As `signal->min_flt`.
    pub ended_minor_faults: u64,
    /// As `signal->maj_flt`.
    pub ended_major_faults: u64,
    /// The cgroup of version 2; 0 where it is not known.
    pub cgroup_id: u64,
    /// Which program it executes: `self_exec_id`, which grows with each; 0
    /// where that is not known.
    pub exec_id: u64,
}
