use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is counted of one metric since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Collections begun.
    pub collections: u64,
    /// Readings published by a producer.
    pub published: u64,
    /// Readings that the producer lost before it could publish them.
    pub lost: u64,
    /// Collections that gave no reading, panics included, those that hung not.
    pub failures: u64,
    /// Collections that panicked.
    pub panics: u64,
    /// Collections that passed their deadline.
    pub hung: u64,
    /// Collections for which there was no thread before their deadline.
    pub not_started: u64,
    /// Due times at which nothing was collected: the bus came too late, or the
    /// collection before still ran.
    pub skipped: u64,
    /// Requests that the cache answered.
    pub cache_hits: u64,
    /// Requests that joined a collection under way (single-flight).
    pub coalesced: u64,
    /// Samples handed to subscribers.
    pub deliveries: u64,
    /// Samples that newer ones pushed out before they were received.
    pub dropped: u64,
    /// How long the last collection took.
    pub last_duration_ns: u64,
    /// How long the longest collection took.
    pub longest_duration_ns: u64,
    /// How long all collections took.
    pub total_duration_ns: u64,
    /// How late the last collection began.
    pub last_lateness_ns: u64,
    /// How late the latest collection began.
    pub longest_lateness_ns: u64,
}

impl Counters {
    pub(super) fn took(&mut self, duration: Duration) {
        let duration = duration.as_nanos() as u64;
        self.last_duration_ns = duration;
        self.longest_duration_ns = self.longest_duration_ns.max(duration);
        self.total_duration_ns += duration;
    }

    pub(super) fn late(&mut self, lateness: u64) {
        self.last_lateness_ns = lateness;
        self.longest_lateness_ns = self.longest_lateness_ns.max(lateness);
    }
}
