use std::{fs, io};

/// A process, identified by PID and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The PID.
    pub pid: u32,
    /// The start time, in clock ticks since boot.
    start: u64,
}

/// A clock tick of `/proc`: `USER_HZ` is 100 on all supported architectures.
const TICK_NS: u64 = 10_000_000;

impl Identity {
    /// The process with this PID, which must not be reused meanwhile: it is not reaped, or it
    /// is stopped.
    ///
    /// # Errors
    ///
    /// When the process does not exist.
    pub fn of(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // Field 22; field 2, `comm`, may contain anything.
        let start = text
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(19)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not a stat: {text}")))?;
        Ok(Self { pid, start })
    }

    /// From an event or a reading.
    pub const fn new(pid: u32, start_time_ns: u64) -> Self {
        Self {
            pid,
            start: start_time_ns / TICK_NS,
        }
    }
}

/// A selection of processes.
pub trait Who {
    /// Whether a process is selected.
    fn is(&self, process: Identity) -> bool;
}

impl Who for Identity {
    fn is(&self, process: Identity) -> bool {
        *self == process
    }
}

/// Every process with this PID.
impl Who for u32 {
    fn is(&self, process: Identity) -> bool {
        *self == process.pid
    }
}
