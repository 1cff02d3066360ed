use std::time::Duration;

use crate::source::Timestamp;

/// A collection that is under way: at most one a metric (single-flight).
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    /// When a thread was asked to begin it, and which time that is on samples.
    pub(super) asked: u64,
    pub(super) asked_at: Timestamp,
    /// When a thread began it.
    pub(super) began: Option<u64>,
    /// It has passed its deadline.
    pub(super) hung: bool,
}

impl Flight {
    /// When it has taken longer than it may, to begin or to end.
    pub(super) fn deadline(&self, deadline: Duration) -> u64 {
        let since = self.began.unwrap_or(self.asked);
        since.saturating_add(deadline.as_nanos() as u64)
    }
}
