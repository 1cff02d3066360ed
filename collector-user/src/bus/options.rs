use std::{num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use super::{Ended, mailbox::Limit};
use crate::metric::Kind;

/// How many events wait for a subscriber that did not say how many.
const DEFAULT_EVENT_QUEUE: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The valid range of an interval.
pub(super) const VALID_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(24);

/// How a subscriber wants its samples.
///
/// The default is the pace of the metric, and of a state the latest sample
/// only, of events a queue of 1,024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// The pace, from 1 ms to 1 day. `None` is the pace that was configured for
    /// the metric, by default that of its tier; and of a metric that is
    /// published rather than collected, every reading. An interval below the
    /// floor of the metric is raised to it: see
    /// [`Subscription::interval`](super::Subscription::interval). Events are
    /// never thinned out, whatever the interval.
    pub interval: Option<Duration>,
    /// What happens to samples that have not been received yet; `None` is by
    /// the kind of the metric: the latest of a state, a queue of 1,024 events.
    pub delivery: Option<Delivery>,
    /// The bytes of readings that may wait in a queue; then the oldest is
    /// dropped, but never the newest. `None` is the memory budget of the bus.
    pub max_queue_bytes: Option<usize>,
}

/// What happens to samples that have not been received yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A newer sample replaces the one before it, also if it is an event.
    Latest,
    /// Up to so many wait, at least 1; then the oldest is dropped.
    Queue(usize),
}

/// A sample at every `interval`, from 1 ms to 1 day.
///
/// ```
/// use std::time::Duration;
/// use collector::bus::{Delivery, every};
///
/// let options = every(Duration::from_secs(1)).queue(100);
/// assert_eq!(options.delivery, Some(Delivery::Queue(100)));
/// ```
pub fn every(interval: Duration) -> SubscribeOptions {
    SubscribeOptions {
        interval: Some(interval),
        ..SubscribeOptions::default()
    }
}

impl SubscribeOptions {
    /// Lets up to so many samples wait, at least 1; then the oldest is dropped.
    #[must_use]
    pub fn queue(self, limit: usize) -> Self {
        Self {
            delivery: Some(Delivery::Queue(limit)),
            ..self
        }
    }

    /// A newer sample replaces the one before it, also if it is an event.
    #[must_use]
    pub fn latest(self) -> Self {
        Self {
            delivery: Some(Delivery::Latest),
            ..self
        }
    }

    /// Lets readings of up to so many bytes wait in a queue.
    #[must_use]
    pub fn max_queue_bytes(self, bytes: usize) -> Self {
        Self {
            max_queue_bytes: Some(bytes),
            ..self
        }
    }

    /// The interval in nanoseconds, if one was given.
    pub(super) fn interval_ns(self) -> Result<Option<u64>, SubscribeError> {
        match self.interval {
            Some(interval) if !VALID_INTERVALS.contains(&interval) => {
                Err(SubscribeError::BadInterval(interval))
            }
            interval => Ok(interval.map(|interval| interval.as_nanos() as u64)),
        }
    }

    /// How much may wait, where the bus has this budget.
    pub(super) fn limit(self, kind: Kind, budget: usize) -> Result<Limit, SubscribeError> {
        let count = match (self.delivery, kind) {
            (Some(Delivery::Latest), _) | (None, Kind::State) => NonZeroUsize::MIN,
            (Some(Delivery::Queue(limit)), _) => {
                NonZeroUsize::new(limit).ok_or(SubscribeError::EmptyQueue)?
            }
            (None, Kind::Event) => DEFAULT_EVENT_QUEUE,
        };
        Ok(Limit {
            count,
            bytes: self.max_queue_bytes.unwrap_or(budget),
        })
    }
}

/// A subscription could not be made.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No metric has this name.
    #[error("there is no metric {name:?}; there are {}", known.join(", "))]
    UnknownMetric {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// The interval is out of range.
    #[error("the interval {0:?} is not between 1 ms and 1 day")]
    BadInterval(Duration),
    /// A queue in which nothing can wait.
    #[error("a queue of 0 samples can hold nothing")]
    EmptyQueue,
    /// A producer was asked for, but a collector yields the metric.
    #[error("the metric {0:?} is collected by the bus, and no one else can publish it")]
    NotPublished(&'static str),
    /// The bus has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
}
