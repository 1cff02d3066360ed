use std::{fs, io};

/// A process, told from others that had its number before or have it later: by
/// when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    start: u64,
}

/// A clock tick of `/proc`: `USER_HZ` is 100 on all architectures that these
/// tests run on.
const TICK_NS: u64 = 10_000_000;

impl Identity {
    /// The process that has this number now. It must not be given to another
    /// one meanwhile: its parent has not waited for it, or it is stopped.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The 22nd field; the second, the name, may hold anything.
        let start = text
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(19)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not a stat: {text}")))?;
        Ok(Self { pid, start })
    }

    /// As an event or a reading tells it.
    pub const fn new(pid: u32, start_time_ns: u64) -> Self {
        Self {
            pid,
            start: start_time_ns / TICK_NS,
        }
    }
}

/// Which process is meant.
pub trait Who {
    /// Whether it is this one.
    fn is(&self, process: Identity) -> bool;
}

impl Who for Identity {
    fn is(&self, process: Identity) -> bool {
        *self == process
    }
}

/// Every process that has this number.
impl Who for u32 {
    fn is(&self, process: Identity) -> bool {
        *self == process.pid
    }
}
