use crate::metric::Process;

/// What identifies a process.
pub(super) type Key = (u32, u64);

pub(super) fn key(process: &Process) -> Key {
    (process.pid, process.start_time_ns)
}
