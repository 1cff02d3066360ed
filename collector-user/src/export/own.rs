use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What the agent counts of itself, beside what its bus does.
#[derive(Debug, Default)]
pub struct OwnCounters {
    log_lines_lost: Arc<AtomicU64>,
    dropped: [AtomicU64; Dropped::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
}

/// Why a connection was closed before its client closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Another one needed its place, and it was the one that had done nothing
    /// for the longest time.
    Displaced,
    /// It was idle for too long.
    Idle,
    /// Its request did not come in time.
    SlowRequest,
    /// It did not take its answer in time.
    SlowReader,
}

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was for a host of another name.
    Host,
    /// It was no HTTP, or too long.
    Malformed,
}

impl OwnCounters {
    /// With a counter of lines of the log that were lost, which the writer of
    /// the log increases.
    pub fn new(log_lines_lost: Arc<AtomicU64>) -> Self {
        Self {
            log_lines_lost,
            ..Self::default()
        }
    }

    /// How many lines of the log were lost.
    pub fn log_lines_lost(&self) -> u64 {
        self.log_lines_lost.load(Ordering::Relaxed)
    }

    /// How many connections were closed for this reason.
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// How many requests were refused for this reason.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].load(Ordering::Relaxed)
    }

    pub(super) fn drop_one(&self, reason: Dropped) {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refuse_one(&self, reason: Refused) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Dropped {
    /// All reasons.
    pub const ALL: [Self; 4] = [
        Self::Displaced,
        Self::Idle,
        Self::SlowRequest,
        Self::SlowReader,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Displaced => "displaced",
            Self::Idle => "idle",
            Self::SlowRequest => "slow_request",
            Self::SlowReader => "slow_reader",
        }
    }
}

impl Refused {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::Host, Self::Malformed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
