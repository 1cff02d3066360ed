use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counters of the agent, besides those of its bus.
#[derive(Debug, Default)]
pub struct OwnCounters {
    log_lines_lost: Arc<AtomicU64>,
    dropped: [AtomicU64; Dropped::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
}

/// Why a connection was closed before its client closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A new connection displaced it, as it had made no progress for the longest time.
    Displaced,
    /// The keep-alive timeout expired.
    Idle,
    /// The request timeout expired.
    SlowRequest,
    /// The response timeout expired.
    SlowReader,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its host name is not accepted.
    Host,
    /// It was not HTTP, or too large.
    Malformed,
}

impl OwnCounters {
    /// Counters with that of lost log lines, which is updated by the writer of the log.
    pub fn new(log_lines_lost: Arc<AtomicU64>) -> Self {
        Self {
            log_lines_lost,
            ..Self::default()
        }
    }

    /// The number of lost log lines.
    pub fn log_lines_lost(&self) -> u64 {
        self.log_lines_lost.load(Ordering::Relaxed)
    }

    /// The number of connections that were closed for this reason.
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// The number of requests that were refused for this reason.
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

    /// The value of the label `reason`.
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

    /// The value of the label `reason`.
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
