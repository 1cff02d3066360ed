use std::{num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Ended, mailbox::Limit};
use crate::metric::{Kind, Metric};

/// The length of a queue of events unless the options give one.
pub const DEFAULT_EVENT_QUEUE: usize = 1024;

/// The valid range of an interval.
pub(crate) const VALID_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_hours(24);

/// How a subscriber wants its samples.
///
/// The default is the pace of the metric; of a state the latest sample only,
/// of events a queue of [`DEFAULT_EVENT_QUEUE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// The pace, from 1 ms to 1 day. `None` is the pace that was configured for
    /// the metric, by default that of its tier; and of a metric that is
    /// published rather than collected, every reading. An interval below the
    /// floor of the metric is raised to it: see
    /// [`Subscription::interval`](super::Subscription::interval). Every event is
    /// delivered, whatever the interval.
    pub interval: Option<Duration>,
    /// What happens to samples that have not been received yet; `None` is by
    /// the kind of the metric: [`Latest`](Delivery::Latest) for a state,
    /// [`Queue`](Delivery::Queue) of [`DEFAULT_EVENT_QUEUE`] for events.
    pub delivery: Option<Delivery>,
    /// The bytes of readings that may wait in a queue; then the oldest is
    /// dropped, but never the newest. `None` is the memory budget of the bus,
    /// 32 MiB unless it was set.
    pub max_queue_bytes: Option<usize>,
}

/// What happens to samples that have not been received yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// A newer sample replaces the one before it, which is counted as missed;
    /// so does an event. Subscribers to events mostly want a
    /// [`Queue`](Self::Queue).
    Latest,
    /// Up to so many wait, at least 1; then the oldest is dropped, and counted
    /// as missed.
    Queue(usize),
}

/// A sample at every `interval`, from 1 ms to 1 day.
///
/// ```
/// use std::time::Duration;
/// use collector::feed::{Delivery, every};
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
    /// Lets up to `limit` samples wait, at least 1; then the oldest is dropped.
    #[must_use]
    pub fn queue(self, limit: usize) -> Self {
        Self {
            delivery: Some(Delivery::Queue(limit)),
            ..self
        }
    }

    /// A newer sample replaces the one before it; so does an event.
    #[must_use]
    pub fn latest(self) -> Self {
        Self {
            delivery: Some(Delivery::Latest),
            ..self
        }
    }

    /// Lets readings of up to `bytes` bytes wait in a queue.
    #[must_use]
    pub fn max_queue_bytes(self, bytes: usize) -> Self {
        Self {
            max_queue_bytes: Some(bytes),
            ..self
        }
    }

    /// The interval in nanoseconds, if one was given.
    pub(crate) fn interval_ns(self) -> Result<Option<u64>, SubscribeError> {
        match self.interval {
            Some(interval) if !VALID_INTERVALS.contains(&interval) => {
                Err(SubscribeError::BadInterval(interval))
            }
            interval => Ok(interval.map(|interval| interval.as_nanos() as u64)),
        }
    }

    /// The bounds of the queue; `bytes` where the options give none.
    pub(crate) fn limit(self, kind: Kind, bytes: usize) -> Result<Limit, SubscribeError> {
        let count = match (self.delivery, kind) {
            (Some(Delivery::Latest), _) | (None, Kind::State) => 1,
            (Some(Delivery::Queue(limit)), _) => limit,
            (None, Kind::Event) => DEFAULT_EVENT_QUEUE,
        };
        Ok(Limit {
            count: NonZeroUsize::new(count).ok_or(SubscribeError::EmptyQueue)?,
            bytes: self.max_queue_bytes.unwrap_or(bytes),
        })
    }
}

/// A subscription could not be made.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The feed has no metric of this name.
    #[error("there is no metric {name:?}; there are {}", known.join(", "))]
    UnknownMetric {
        /// The unknown name.
        name: String,
        /// The names of the metrics that the feed has.
        known: Vec<String>,
    },
    /// The subscription is to another metric than the one whose reading was
    /// expected.
    #[error("a subscription to {metric} is not one to {expected}")]
    WrongMetric {
        /// The metric of the subscription.
        metric: Metric,
        /// The metric that was expected.
        expected: &'static str,
    },
    /// The interval is out of range.
    #[error("the interval {0:?} is not between 1 ms and 1 day")]
    BadInterval(Duration),
    /// A queue in which nothing can wait.
    #[error("a queue of 0 samples can hold nothing")]
    EmptyQueue,
    /// A publisher of a metric that a collector yields.
    #[error("the metric {0:?} is collected by the bus, and no one else can publish it")]
    NotPublished(String),
    /// The feed has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl SubscribeError {
    /// An [`UnknownMetric`](Self::UnknownMetric), for a feed that has the metrics
    /// `known`.
    pub fn unknown_metric(name: &str, known: impl IntoIterator<Item = String>) -> Self {
        Self::UnknownMetric {
            name: name.to_owned(),
            known: known.into_iter().collect(),
        }
    }
}
