/// Identifies a process: its PID and its start time, because PIDs are reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessKey {
    pub(crate) pid: u32,
    /// `start_boottime` of the thread-group leader.
    pub(crate) start_ns: u64,
}

/// A process, and the index at which it was last found in the
/// [`ProcessTable`](super::process_table::ProcessTable), where a lookup tries
/// first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProcessHandle {
    pid: u32,
    pub(super) index: u32,
    start_ns: u64,
}

impl ProcessHandle {
    /// A process whose index is unknown.
    pub(super) const fn unresolved(key: ProcessKey) -> Self {
        Self {
            pid: key.pid,
            index: u32::MAX,
            start_ns: key.start_ns,
        }
    }

    pub(super) const fn key(&self) -> ProcessKey {
        ProcessKey {
            pid: self.pid,
            start_ns: self.start_ns,
        }
    }
}
