use std::{num::NonZeroUsize, time::Duration};

use crate::metric::Kind;

/// How many events wait for a subscriber that did not say how many.
const DEFAULT_EVENT_QUEUE: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The intervals that can be meant.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24);

/// How a subscriber wants its samples.
///
/// The default is the pace of the metric's tier, and the latest sample only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The pace. `None` is that of the metric's tier, and of a metric that is
    /// published rather than collected, every reading. Events are never
    /// thinned out, whatever the interval.
    pub interval: Option<Duration>,
    /// What happens to samples that have not been received yet.
    pub delivery: Delivery,
}

/// What happens to samples that have not been received yet.
///
/// An event is never replaced by a newer one: for a metric of kind
/// [`Event`](crate::metric::Kind::Event), `Latest` is a queue of 1,024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// A newer sample replaces the one before it.
    #[default]
    Latest,
    /// Up to so many wait; then the oldest is dropped.
    Queue(NonZeroUsize),
}

impl Delivery {
    /// How many samples may wait.
    pub(super) fn limit(self, kind: Kind) -> NonZeroUsize {
        match (self, kind) {
            (Self::Latest, Kind::State) => NonZeroUsize::MIN,
            (Self::Latest, Kind::Event) => DEFAULT_EVENT_QUEUE,
            (Self::Queue(limit), _) => limit,
        }
    }
}

/// A sample at every `interval`, the latest only.
///
/// ```
/// use std::{num::NonZeroUsize, time::Duration};
/// use collector::bus::{Delivery, every};
///
/// let options = every(Duration::from_secs(1)).queue(NonZeroUsize::MIN);
/// assert_eq!(options.delivery, Delivery::Queue(NonZeroUsize::MIN));
/// ```
pub fn every(interval: Duration) -> SubscribeOptions {
    SubscribeOptions {
        interval: Some(interval),
        delivery: Delivery::Latest,
    }
}

impl SubscribeOptions {
    /// Lets up to so many samples wait; then the oldest is dropped.
    #[must_use]
    pub fn queue(self, limit: NonZeroUsize) -> Self {
        Self {
            delivery: Delivery::Queue(limit),
            ..self
        }
    }

    /// The interval in nanoseconds, if one was given.
    pub(super) fn interval_ns(self) -> Result<Option<u64>, SubscribeError> {
        match self.interval {
            Some(interval) if !(SHORTEST..=LONGEST).contains(&interval) => {
                Err(SubscribeError::BadInterval(interval))
            }
            interval => Ok(interval.map(|interval| interval.as_nanos() as u64)),
        }
    }
}

/// A subscription could not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SubscribeError {
    /// No metric has this name.
    #[error("there is no metric {name:?}; there are {}", known.join(", "))]
    UnknownMetric {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// The interval is zero, or too long to be meant.
    #[error("the interval {0:?} is not between 1 ms and 1 day")]
    BadInterval(Duration),
    /// A producer was asked for, but a collector yields the metric.
    #[error("the metric {0:?} is collected by the bus, and no one else can publish it")]
    NotPublished(&'static str),
    /// The bus has been shut down.
    #[error("the bus has been shut down")]
    ShutDown,
}
