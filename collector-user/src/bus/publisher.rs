use std::{
    io,
    marker::PhantomData,
    sync::{Arc, Weak, atomic::Ordering},
};

use super::{collection::Recipients, core::Core, taken::Taken, topic::Topic, workers::Work};
use crate::metric::{AnyReading, AnySample, Metric, Missed, Reading, Reason, Sample};

/// Publishes readings that were made elsewhere in this process.
///
/// Publishing never waits for a subscriber. After the bus was shut down it
/// does nothing. It keeps the bus alive; see [`downgrade`](Self::downgrade).
#[derive(Debug)]
pub struct Publisher<R: Reading> {
    untyped: AnyPublisher,
    reading: PhantomData<fn() -> R>,
}

/// A [`Publisher`] of a metric that is known by name only.
#[derive(Debug)]
pub struct AnyPublisher {
    core: Arc<Core>,
    topic: usize,
}

/// A [`Publisher`] that does not keep its bus alive: for what the bus itself
/// keeps, such as [attached](super::Bus::attach) event sources.
///
/// While it exists, the subscriptions to its metric do not end for want of a
/// producer.
#[derive(Debug)]
pub struct WeakPublisher<R: Reading> {
    core: Weak<Core>,
    topic: usize,
    reading: PhantomData<fn() -> R>,
}

/// What was to be published is of another metric than the publisher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} cannot be published as {expected}")]
pub struct WrongMetric {
    /// The metric of the publisher.
    pub expected: Metric,
    /// The metric of what was to be published.
    pub found: Metric,
}

impl<R: Reading> Publisher<R> {
    /// For a topic of this type.
    pub(super) fn of(untyped: AnyPublisher) -> Self {
        Self {
            untyped,
            reading: PhantomData,
        }
    }

    /// Publishes a reading, as of now.
    pub fn publish(&self, reading: R) {
        self.publish_shared(Arc::new(reading));
    }

    /// Publishes a reading that is shared already, as of now.
    pub fn publish_shared(&self, reading: Arc<R>) {
        self.untyped.publish_now(reading);
    }

    /// Publishes a sample as it is: see [`AnyPublisher::publish_sample`].
    pub fn publish_sample(&self, sample: Sample<R>) {
        self.untyped.publish_as_is(sample.into_any());
    }

    /// Reports that `count` readings were lost before they could be published.
    /// The sequence grows by `count`, and every subscriber receives them as
    /// missed: at once, or with the next sample.
    pub fn lost(&self, count: u64) {
        self.untyped.lost(count);
    }

    /// Publishes that there is no reading, and why.
    pub fn unavailable(&self, reason: impl Into<Reason>) {
        self.untyped.unavailable(reason);
    }

    /// Whether the metric has a subscription.
    pub fn is_wanted(&self) -> bool {
        self.untyped.is_wanted()
    }

    /// Has a thread of the bus do this: what may block before it publishes.
    pub(crate) fn run(&self, work: Work) -> io::Result<()> {
        self.untyped.core.workers.run(work)
    }

    /// This publisher without keeping the bus alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakPublisher<R> {
        let AnyPublisher { core, topic } = &self.untyped;
        core.topics[*topic]
            .publishers
            .fetch_add(1, Ordering::SeqCst);
        WeakPublisher {
            core: Arc::downgrade(core),
            topic: *topic,
            reading: PhantomData,
        }
    }

    /// This publisher without its type.
    #[must_use]
    pub fn into_any(self) -> AnyPublisher {
        self.untyped
    }
}

impl AnyPublisher {
    pub(super) fn new(core: Arc<Core>, topic: usize) -> Self {
        core.topics[topic].publishers.fetch_add(1, Ordering::SeqCst);
        Self { core, topic }
    }

    /// The metric.
    pub fn metric(&self) -> &Metric {
        &self.topic().info.metric
    }

    /// Publishes a reading, as of now. A metric that this build does not
    /// declare has [untyped](crate::metric::UntypedReading) readings.
    ///
    /// # Errors
    ///
    /// When it is a reading of another metric.
    pub fn publish(&self, reading: Arc<dyn AnyReading>) -> Result<(), WrongMetric> {
        self.check(&reading.metric())?;
        self.publish_now(reading);
        Ok(())
    }

    /// Publishes a sample as it is: its times, window, sequence, origin,
    /// backend and status are kept, and what it says was missed is added to
    /// what each subscriber misses. For the replay of a recording, and for
    /// samples of other hosts.
    ///
    /// For the pace of subscriptions and the age of the cached reading it
    /// counts as new now.
    ///
    /// # Errors
    ///
    /// When it is a sample of another metric.
    pub fn publish_sample(&self, sample: AnySample) -> Result<(), WrongMetric> {
        self.check(&sample.metric)?;
        self.publish_as_is(sample);
        Ok(())
    }

    /// As [`Publisher::lost`].
    pub fn lost(&self, count: u64) {
        let mut state = self.topic().state_as_is();
        state.sequence += count;
        state.counters.lost += count;
        state.subscribers.miss(Missed::at_source(count));
    }

    /// As [`Publisher::unavailable`].
    pub fn unavailable(&self, reason: impl Into<Reason>) {
        let now = self.core.timeline.now_ns();
        let at = self.core.clock.now();
        let topic = self.topic();
        let mut state = topic.state(now);
        if state.end.is_some() {
            return;
        }
        state.counters.failures += 1;
        let to = Recipients::DueAt(now);
        state.fail(&topic.info, reason.into(), at, to, &self.core.budget);
    }

    /// As [`Publisher::is_wanted`].
    pub fn is_wanted(&self) -> bool {
        let topic = self.topic();
        topic.state(self.core.timeline.now_ns()).subscribers.len() > 0
    }

    fn publish_now(&self, reading: Arc<dyn AnyReading>) {
        let reading = self.core.fit(self.topic, reading);
        let now = self.core.timeline.now_ns();
        let taken = Taken::at(self.core.clock.now());
        let topic = self.topic();
        let mut state = topic.state(now);
        if state.end.is_some() {
            return;
        }
        state.counters.published += 1;
        let to = Recipients::DueAt(now);
        state.succeed(&topic.info, reading, taken, to, &self.core.budget);
    }

    fn publish_as_is(&self, mut sample: AnySample) {
        sample.data = sample.data.map(|data| self.core.fit(self.topic, data));
        let now = self.core.timeline.now_ns();
        let at = self.core.clock.now();
        let topic = self.topic();
        // The one handle of the metric that all samples of the topic share.
        sample.metric = topic.info.metric.clone();
        let mut state = topic.state(now);
        if state.end.is_some() {
            return;
        }
        state.counters.published += 1;
        let to = Recipients::DueAt(now);
        state.publish(sample, at, to, &self.core.budget);
    }

    fn check(&self, found: &Metric) -> Result<(), WrongMetric> {
        let expected = self.metric();
        if found == expected {
            Ok(())
        } else {
            Err(WrongMetric {
                expected: expected.clone(),
                found: found.clone(),
            })
        }
    }

    fn topic(&self) -> &Topic {
        &self.core.topics[self.topic]
    }
}

impl<R: Reading> WeakPublisher<R> {
    /// The publisher; `None` if the bus was dropped. It keeps the bus alive.
    pub fn upgrade(&self) -> Option<Publisher<R>> {
        let core = self.core.upgrade()?;
        Some(Publisher::of(AnyPublisher::new(core, self.topic)))
    }

    /// Waits until the metric has a subscription. `false` if the bus was dropped
    /// or its subscriptions have ended.
    pub async fn wanted(&self) -> bool {
        loop {
            let Some(core) = self.core.upgrade() else {
                return false;
            };
            let topic = &core.topics[self.topic];
            let subscribed = Arc::clone(&topic.wanted).notified_owned();
            let mut subscribed = std::pin::pin!(subscribed);
            subscribed.as_mut().enable();
            let (is_wanted, has_ended) = {
                let state = topic.state(core.timeline.now_ns());
                (state.subscribers.len() > 0, state.end.is_some())
            };
            if is_wanted || has_ended {
                return !has_ended;
            }
            // Waiting must not keep the bus alive; when it goes, it wakes this.
            drop(core);
            subscribed.await;
        }
    }
}

impl<R: Reading> Clone for Publisher<R> {
    fn clone(&self) -> Self {
        Self::of(self.untyped.clone())
    }
}

impl Clone for AnyPublisher {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core), self.topic)
    }
}

impl Drop for AnyPublisher {
    fn drop(&mut self) {
        let topic = self.topic();
        topic.publishers.fetch_sub(1, Ordering::SeqCst);
        self.core.end_if_abandoned(topic);
    }
}

impl<R: Reading> Drop for WeakPublisher<R> {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            let topic = &core.topics[self.topic];
            topic.publishers.fetch_sub(1, Ordering::SeqCst);
            core.end_if_abandoned(topic);
        }
    }
}
