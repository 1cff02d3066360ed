use crate::COMM_LEN;

/// One thread, as the iterator over all tasks writes it.
///
/// It has what the switch program does not read: names, owners, memory, I/O,
/// and the sums of the threads that exited before the programs were attached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskEntry {
    /// The thread ID.
    pub tid: u32,
    /// The process ID.
    pub tgid: u32,
    /// The ID of the parent process.
    pub ppid: u32,
    /// The effective user ID; `u32::MAX` if unknown.
    pub uid: u32,
    /// The start time of the process: `start_boottime` of the thread-group
    /// leader.
    pub process_start_ns: u64,
    /// The element of `THREADS`, or [`NO_SLOT`](crate::NO_SLOT).
    pub slot: u32,
    /// The flags of the thread record.
    pub flags: u32,
    /// `task_struct.__state`.
    pub task_state: u32,
    /// `task_struct.exit_state`.
    pub exit_state: u32,
    /// The CPU on which the thread is running, or was last.
    pub cpu: u32,
    /// Whether it is running on that CPU.
    pub on_cpu: u32,
    /// 1 if this visit assigned the record in `THREADS`.
    pub is_new: u32,
    /// 1 if all threads of the process have started to exit.
    pub is_group_dead: u32,
    /// The CPU time of the thread when this visit assigned its record;
    /// otherwise 0.
    pub cpu_ns_when_found: u64,
    /// The command name of the thread.
    pub comm: [u8; COMM_LEN],
    /// Resident pages.
    pub rss_pages: u64,
    /// Virtual pages.
    pub vm_pages: u64,
    /// Bytes that this thread caused to be read from storage.
    pub read_bytes: u64,
    /// Bytes that this thread caused to be written to storage.
    pub write_bytes: u64,
    /// `read_bytes` of the exited threads of the process.
    pub ended_read_bytes: u64,
    /// `write_bytes` of the exited threads of the process.
    pub ended_write_bytes: u64,
    /// CPU time of the exited threads of the process that have no record:
    /// `signal->sum_sched_runtime`, and that of the thread-group leader.
    pub ended_cpu_ns: u64,
    /// The same from `signal->utime`.
    pub ended_user_ns: u64,
    /// The same from `signal->stime`.
    pub ended_system_ns: u64,
    /// The same from `signal->nvcsw`.
    pub ended_voluntary_switches: u64,
    /// The same from `signal->nivcsw`.
    pub ended_involuntary_switches: u64,
    /// The same from `signal->min_flt`.
    pub ended_minor_faults: u64,
    /// The same from `signal->maj_flt`.
    pub ended_major_faults: u64,
    /// The cgroup v2 ID; 0 if unknown.
    pub cgroup_id: u64,
    /// `self_exec_id`, which each `execve` increments; 0 if unknown.
    pub exec_id: u64,
}
