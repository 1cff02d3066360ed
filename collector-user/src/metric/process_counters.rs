use serde::{Deserialize, Serialize};

use super::{Record, process_counters};

/// The counters of a process, or their sums over several.
#[process_counters(set)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct ProcessCounters {}

/// What has the counters of a process.
///
/// Implemented by the attribute `process_counters`.
pub trait HasProcessCounters {
    /// Its counters. One that it does not have is unknown.
    fn process_counters(&self) -> ProcessCounters;

    /// Replaces the counters that it has.
    fn set_process_counters(&mut self, counters: &ProcessCounters);
}

impl ProcessCounters {
    /// The sums; an unknown value counts as nothing, unless both are unknown.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        })
    }

    /// The differences, at least 0; an unknown subtrahend counts as nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| Some(a?.saturating_sub(b.unwrap_or(0))))
    }

    /// The greater of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.zip(other, Option::max)
    }

    /// Those that are unknown in the other set.
    #[must_use]
    pub fn where_unknown(self, other: Self) -> Self {
        self.zip(other, |a, b| if b.is_none() { a } else { None })
    }
}
