use std::{
    any::TypeId,
    sync::{Arc, atomic::Ordering},
};

use super::{
    core::Core,
    publisher::{AnyPublisher, Publisher},
    snapshot,
    status::{self, BusStatus},
    subscribe::subscribe,
};
use crate::{
    feed::{
        AnySubscription, Ended, Feed, Snapshot, SnapshotFuture, SnapshotRequest, SubscribeError,
        SubscribeOptions, Subscription,
    },
    metric::{Metric, Reading},
};

/// Owns the collectors. Cheap to clone: clones are the same bus.
///
/// The bus lives as long as a handle of it, a subscription to it, or a
/// publisher. Subscriptions to a metric that is published end when all handles
/// and all publishers of the metric were dropped.
#[derive(Debug)]
pub struct Bus {
    core: Arc<Core>,
}

impl Clone for Bus {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if self.core.handles.fetch_sub(1, Ordering::SeqCst) == 1 {
            for topic in &self.core.topics {
                self.core.end_if_abandoned(topic);
            }
        }
    }
}

impl Bus {
    pub(super) fn new(core: Arc<Core>) -> Self {
        core.handles.fetch_add(1, Ordering::SeqCst);
        Self { core }
    }

    /// The metrics that can be subscribed to, by tier and name.
    pub fn metrics(&self) -> Vec<Metric> {
        self.core
            .topics
            .iter()
            .map(|topic| topic.info.metric.clone())
            .collect()
    }

    /// Subscribes to a metric.
    ///
    /// The first sample comes at once: the cached one if it is not older than
    /// the interval, else one that is collected for it. The next come at the
    /// multiples of the interval on the monotonic clock.
    ///
    /// # Errors
    ///
    /// When the metric is not on this bus, an option is out of its range, or
    /// the bus has ended.
    pub fn subscribe<R: Reading>(
        &self,
        options: SubscribeOptions,
    ) -> Result<Subscription<R>, SubscribeError> {
        let index = self.find::<R>()?;
        subscribe(&self.core, index, options).map(Subscription::of)
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
        subscribe(&self.core, self.core.find(metric)?, options)
    }

    /// A snapshot of the requested metrics, which never fails as a whole.
    ///
    /// What is older than the request allows is collected first, all of it
    /// through one tick. A metric that fails is there with its last good
    /// reading, marked as stale, or marked as unavailable. It takes no longer
    /// than the longest deadline of a collector.
    ///
    /// # Errors
    ///
    /// When a name is not that of a metric, or the bus has ended.
    pub async fn snapshot(&self, request: SnapshotRequest) -> Result<Snapshot, SubscribeError> {
        snapshot::take(&self.core, request).await
    }

    /// The handle with which a producer in this process publishes.
    ///
    /// # Errors
    ///
    /// When the metric is not on this bus, or is collected by it.
    pub fn publisher<R: Reading>(&self) -> Result<Publisher<R>, SubscribeError> {
        self.publisher_at(self.find::<R>()?).map(Publisher::of)
    }

    /// The handle with which a producer in this process publishes a metric
    /// that is known by name only.
    ///
    /// # Errors
    ///
    /// As [`publisher`](Self::publisher).
    pub fn publisher_any(&self, metric: &str) -> Result<AnyPublisher, SubscribeError> {
        self.publisher_at(self.core.find(metric)?)
    }

    fn publisher_at(&self, index: usize) -> Result<AnyPublisher, SubscribeError> {
        let info = &self.core.topics[index].info;
        if info.is_collected() {
            let name = info.metric.name().to_owned();
            return Err(SubscribeError::NotPublished(name));
        }
        Ok(AnyPublisher::new(Arc::clone(&self.core), index))
    }

    /// The status of the bus and of its metrics.
    pub fn status(&self) -> BusStatus {
        status::of(&self.core)
    }

    /// Ends every collection and subscription. Samples that were taken can still be received.
    ///
    /// Waits for the collections that are under way, each until its deadline. A
    /// collection that hangs keeps its thread, which is the bus' own: neither
    /// the runtime nor the end of the process waits for it. What is
    /// [attached](Self::attach) is dropped.
    pub async fn shutdown(&self) {
        self.core.shut_down().await;
    }

    /// Why nothing is collected any more; `None` while the bus runs. It ends by
    /// [`shutdown`](Self::shutdown), with its runtime, or if its scheduler
    /// panics.
    pub fn ended(&self) -> Option<Ended> {
        self.core.end.why()
    }

    /// Waits until nothing is collected any more, and returns why. A program that
    /// serves a bus waits for this, so that it does not go on without one.
    pub async fn wait_for_end(&self) -> Ended {
        self.core.end.wait().await
    }

    /// The runtime on which the bus was built: for tasks of what belongs to it,
    /// wherever they are started.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.core.runtime
    }

    /// Keeps something for as long as the bus lives and is not shut down: what
    /// publishes on it with a [`WeakPublisher`](super::WeakPublisher).
    pub fn attach<T: Send + 'static>(&self, attached: T) {
        self.core.attach(Box::new(attached));
    }

    /// The index of a metric, found by type: a reading of another type that
    /// has the same name is another metric.
    fn find<R: Reading>(&self) -> Result<usize, SubscribeError> {
        let index = self.core.find(R::METRIC.name)?;
        let reading = self.core.topics[index].info.reading;
        if reading.is_none_or(|reading| reading == TypeId::of::<R>()) {
            Ok(index)
        } else {
            Err(SubscribeError::UnknownMetric {
                name: std::any::type_name::<R>().to_owned(),
                known: self.core.names(),
            })
        }
    }
}

impl Feed for Bus {
    fn metrics(&self) -> Vec<Metric> {
        Self::metrics(self)
    }

    fn subscribe_any(
        &self,
        metric: &str,
        options: SubscribeOptions,
    ) -> Result<AnySubscription, SubscribeError> {
        Self::subscribe_any(self, metric, options)
    }

    fn snapshot(&self, request: SnapshotRequest) -> SnapshotFuture<'_> {
        Box::pin(Self::snapshot(self, request))
    }

    fn subscribe<R: Reading>(
        &self,
        options: SubscribeOptions,
    ) -> Result<Subscription<R>, SubscribeError> {
        Self::subscribe(self, options)
    }
}
