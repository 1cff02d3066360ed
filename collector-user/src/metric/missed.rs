use std::{fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

/// Samples that a subscriber did not receive, by where they were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Missed {
    /// Samples that newer ones replaced before the subscriber received them,
    /// or for which its queue had no room.
    #[serde(rename = "subscriber")]
    pub by_subscriber: u64,
    /// Readings that the source lost before the bus, such as events for which
    /// the BPF ring buffer had no room.
    #[serde(rename = "source")]
    pub at_source: u64,
    /// Due times of the subscriber at which nothing was collected, because the
    /// host or the previous collection was too slow, or the metric failed.
    pub skipped: u64,
}

impl Missed {
    /// Nothing.
    pub const NONE: Self = Self {
        by_subscriber: 0,
        at_source: 0,
        skipped: 0,
    };

    /// `count` samples that newer ones replaced.
    #[must_use]
    pub const fn by_subscriber(count: u64) -> Self {
        Self {
            by_subscriber: count,
            ..Self::NONE
        }
    }

    /// `count` readings that the source lost.
    #[must_use]
    pub const fn at_source(count: u64) -> Self {
        Self {
            at_source: count,
            ..Self::NONE
        }
    }

    /// `count` due times at which nothing was collected.
    #[must_use]
    pub const fn skipped(count: u64) -> Self {
        Self {
            skipped: count,
            ..Self::NONE
        }
    }

    /// All of them.
    pub const fn total(self) -> u64 {
        self.by_subscriber
            .saturating_add(self.at_source)
            .saturating_add(self.skipped)
    }

    /// Whether none was missed.
    pub const fn is_none(self) -> bool {
        self.total() == 0
    }
}

impl AddAssign for Missed {
    fn add_assign(&mut self, other: Self) {
        self.by_subscriber = self.by_subscriber.saturating_add(other.by_subscriber);
        self.at_source = self.at_source.saturating_add(other.at_source);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// `3 missed: 2 too slow to receive, 1 lost at the source`; only what is not 0.
impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} missed", self.total())?;
        let parts = [
            (self.by_subscriber, "not received in time"),
            (self.at_source, "lost at the source"),
            (self.skipped, "not collected"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        for (index, (count, what)) in parts.enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            write!(f, "{separator}{count} {what}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_told_by_who_lost_it() {
        let mut missed = Missed::by_subscriber(2);
        missed += Missed::at_source(1);
        assert_eq!(
            missed.to_string(),
            "3 missed: 2 not received in time, 1 lost at the source"
        );
        missed += Missed::skipped(u64::MAX);
        assert_eq!(missed.total(), u64::MAX);
        assert!(Missed::NONE.is_none() && !missed.is_none());
    }
}
