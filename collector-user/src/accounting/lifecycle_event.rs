use collector_ebpf::{COMM_LEN, CgroupMoveEvent, EventHeader, ForkEvent, ThreadEndEvent};

use super::ProcessKey;

/// A lifecycle event of a process or thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LifecycleEvent {
    Fork(ForkEvent),
    Exec(Box<Exec>),
    ThreadEnd(ThreadEndEvent),
    CgroupMove(CgroupMoveEvent),
}

/// A process executed a program: an `ExecEvent`, with its text decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    pub(crate) header: EventHeader,
    pub(crate) ppid: u32,
    pub(crate) uid: u32,
    pub(crate) exec_id: u64,
    pub(crate) comm: [u8; COMM_LEN],
    pub(crate) filename: Option<String>,
    pub(crate) argv: Option<Vec<String>>,
    pub(crate) argv_truncated: bool,
}

/// The process of an event.
pub(super) const fn process_of(header: &EventHeader) -> ProcessKey {
    ProcessKey {
        pid: header.pid,
        start_ns: header.process_start_ns,
    }
}

/// The text of a command name: up to its first zero byte.
pub(crate) fn comm_text(comm: &[u8; COMM_LEN]) -> String {
    let length = comm
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..length]).into_owned()
}
