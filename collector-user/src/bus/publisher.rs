use std::{
    io,
    marker::PhantomData,
    sync::{Arc, Weak, atomic::Ordering},
};

use super::{
    core::Core,
    sync::lock,
    taken::Taken,
    topic::{Recipients, Topic},
    workers::Work,
};
use crate::metric::{AnyReading, Missed, Reading};

/// Publishes readings that were made elsewhere in this process.
///
/// Publishing never waits for a subscriber. After the bus was shut down it
/// does nothing. It keeps the bus alive; see [`downgrade`](Self::downgrade).
#[derive(Debug)]
pub struct Publisher<R: Reading> {
    core: Arc<Core>,
    topic: usize,
    reading: PhantomData<fn() -> R>,
}

/// A [`Publisher`] that does not keep its bus alive: for what the bus itself
/// keeps, such as [attached](super::Bus::attach) event sources.
///
/// While it is there, the subscriptions to its metric do not end for want of a
/// producer.
#[derive(Debug)]
pub struct WeakPublisher<R: Reading> {
    core: Weak<Core>,
    topic: usize,
    reading: PhantomData<fn() -> R>,
}

impl<R: Reading> Publisher<R> {
    pub(super) fn new(core: Arc<Core>, topic: usize) -> Self {
        core.topics[topic].publishers.fetch_add(1, Ordering::SeqCst);
        Self {
            core,
            topic,
            reading: PhantomData,
        }
    }

    /// Publishes a reading.
    pub fn publish(&self, reading: R) {
        self.publish_shared(Arc::new(reading));
    }

    /// Publishes a reading that is shared already.
    pub fn publish_shared(&self, reading: Arc<R>) {
        let reading: Arc<dyn AnyReading> = reading;
        let reading = self.core.fit(self.topic, reading);
        let now = self.core.timeline.now_ns();
        let taken = Taken::at(self.core.clock.now());
        let topic = self.topic();
        let mut state = lock(&topic.state);
        if state.end.is_some() {
            return;
        }
        state.prune(topic, now);
        state.counters.published += 1;
        let to = Recipients::DueAt(now);
        state.succeed(topic, reading, taken, to, &self.core.budget);
    }

    /// Says that so many readings were lost before they could be published.
    /// The sequence jumps by as many, and every subscriber is told that it
    /// missed them: at once, or with the next sample.
    pub fn lost(&self, count: u64) {
        let mut state = lock(&self.topic().state);
        state.sequence += count;
        state.counters.lost += count;
        state.subscribers.miss(Missed::at_source(count));
    }

    /// Says that there is no reading, and why.
    pub fn unavailable(&self, reason: &str) {
        let now = self.core.timeline.now_ns();
        let at = self.core.clock.now();
        let topic = self.topic();
        let mut state = lock(&topic.state);
        if state.end.is_some() {
            return;
        }
        state.prune(topic, now);
        state.counters.failures += 1;
        let to = Recipients::DueAt(now);
        state.fail(topic, reason, at, to, &self.core.budget);
    }

    /// Whether anybody is subscribed.
    pub fn is_wanted(&self) -> bool {
        let topic = self.topic();
        let mut state = lock(&topic.state);
        state.prune(topic, self.core.timeline.now_ns());
        state.subscribers.len() > 0
    }

    /// Has a thread of the bus do this: what may block before it publishes.
    pub(crate) fn run(&self, work: Work) -> io::Result<()> {
        self.core.workers.run(work)
    }

    /// This publisher without keeping the bus alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakPublisher<R> {
        self.topic().publishers.fetch_add(1, Ordering::SeqCst);
        WeakPublisher {
            core: Arc::downgrade(&self.core),
            topic: self.topic,
            reading: PhantomData,
        }
    }

    fn topic(&self) -> &Topic {
        &self.core.topics[self.topic]
    }
}

impl<R: Reading> WeakPublisher<R> {
    /// The publisher, for a moment; `None` if the bus has gone.
    pub fn upgrade(&self) -> Option<Publisher<R>> {
        let core = self.core.upgrade()?;
        Some(Publisher::new(core, self.topic))
    }

    /// Waits until somebody is subscribed. The answer is `false` if the bus has
    /// gone or its subscriptions have ended.
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
                let mut state = lock(&topic.state);
                state.prune(topic, core.timeline.now_ns());
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
        Self::new(Arc::clone(&self.core), self.topic)
    }
}

impl<R: Reading> Drop for Publisher<R> {
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
