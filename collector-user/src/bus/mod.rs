//! The collection bus: one owner of every collector, many subscribers.

use std::{
    collections::BTreeMap, marker::PhantomData, num::NonZeroUsize, sync::Arc, time::Duration,
    time::SystemTime,
};

use crate::{
    collector::Collector,
    metric::{AnySample, Backend, MetricInfo, Reading, Sample},
    source::Sources,
};

/// Owns the collectors. Cheap to clone: clones are the same bus.
#[derive(Clone, Debug)]
pub struct Bus {}

/// Makes a [`Bus`].
#[derive(Debug, Default)]
pub struct BusBuilder {}

/// How a subscriber wants its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The pace; `None` is that of the metric's tier.
    pub interval: Option<Duration>,
    /// What happens to samples that have not been received yet.
    pub delivery: Delivery,
}

/// What happens to samples that have not been received yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A newer sample replaces the one before it.
    Latest,
    /// Up to so many wait; then the oldest is dropped.
    Queue(NonZeroUsize),
}

/// A sample at every `interval`, the latest only.
pub fn every(interval: Duration) -> SubscribeOptions {
    SubscribeOptions {
        interval: Some(interval),
        delivery: Delivery::Latest,
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
    /// The bus has been shut down.
    #[error("the bus has been shut down")]
    ShutDown,
}

/// One subscriber's claim on one metric. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription<R: Reading> {
    reading: PhantomData<fn() -> R>,
}

/// A [`Subscription`] to a metric that is known by name only.
#[derive(Debug)]
pub struct AnySubscription {}

/// Publishes readings that were made elsewhere in this process.
#[derive(Clone, Debug)]
pub struct Publisher<R: Reading> {
    reading: PhantomData<fn() -> R>,
}

/// What a snapshot shall hold.
#[derive(Clone, Debug, Default)]
pub struct SnapshotRequest {
    /// The metrics; `None` is all whose kind is state.
    pub metrics: Option<Vec<String>>,
    /// How old a reading may be; `None` is the interval of its tier.
    pub max_age: Option<Duration>,
}

/// Many metrics at once, each with its own time and status.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    /// The name of this host.
    pub host: Arc<str>,
    /// When the snapshot was asked for.
    #[serde(serialize_with = "crate::metric::serialize_rfc3339")]
    pub taken_at: SystemTime,
    /// The samples, by the name of the metric.
    pub metrics: BTreeMap<&'static str, AnySample>,
}

/// What the bus says of itself. Each part can be serialized.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BusStatus {}

impl Bus {
    /// A bus with nothing on it yet.
    pub fn builder() -> BusBuilder {
        todo!()
    }
    /// The metrics that can be subscribed to, by tier and name.
    pub fn metrics(&self) -> Vec<&'static MetricInfo> {
        todo!()
    }
    /// Subscribes to a metric.
    ///
    /// # Errors
    ///
    /// When the metric is not on this bus, or the interval cannot be meant.
    pub fn subscribe<R: Reading>(
        &self,
        options: SubscribeOptions,
    ) -> Result<Subscription<R>, SubscribeError> {
        todo!()
    }
    /// Subscribes to a metric by its name.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_any(
        &self,
        metric: &str,
        options: SubscribeOptions,
    ) -> Result<AnySubscription, SubscribeError> {
        todo!()
    }
    /// Everything that was asked for, as far as it is there. Never fails as a whole.
    ///
    /// # Errors
    ///
    /// When a name is not that of a metric.
    pub async fn snapshot(&self, request: SnapshotRequest) -> Result<Snapshot, SubscribeError> {
        todo!()
    }
    /// The handle with which a producer in this process publishes.
    pub fn publisher<R: Reading>(&self) -> Result<Publisher<R>, SubscribeError> {
        todo!()
    }
    /// What the bus says of itself.
    pub fn status(&self) -> BusStatus {
        todo!()
    }
    /// Ends every collection and subscription. Samples that were taken can still be received.
    pub async fn shutdown(&self) {
        todo!()
    }
}

impl BusBuilder {
    /// Reads this tree instead of the live one.
    #[must_use]
    pub fn sources(self, sources: Sources) -> Self {
        todo!()
    }
    /// Adds a collector. A metric has one collector or one producer: the last one added.
    #[must_use]
    pub fn collector<C: Collector>(self, collector: C) -> Self {
        todo!()
    }
    /// Adds a metric whose readings a producer publishes.
    #[must_use]
    pub fn producer<R: Reading>(self, backend: Backend) -> Self {
        todo!()
    }
    /// Starts the bus on the current tokio runtime.
    pub fn build(self) -> Bus {
        todo!()
    }
}

impl<R: Reading> Subscription<R> {
    /// The next sample; `None` after the bus was shut down and all was received.
    pub async fn recv(&mut self) -> Option<Sample<R>> {
        todo!()
    }
}

impl AnySubscription {
    /// The next sample; `None` after the bus was shut down and all was received.
    pub async fn recv(&mut self) -> Option<AnySample> {
        todo!()
    }
}

impl<R: Reading> Publisher<R> {
    /// Publishes a reading.
    pub fn publish(&self, reading: R) {
        todo!()
    }
    /// Says that there is no reading, and why.
    pub fn unavailable(&self, reason: &str) {
        todo!()
    }
    /// Whether anybody is subscribed.
    pub fn is_wanted(&self) -> bool {
        todo!()
    }
}
