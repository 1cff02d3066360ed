use std::{marker::PhantomData, sync::Arc};

use super::{
    core::Core,
    sync::lock,
    taken::Taken,
    topic::{Recipients, Topic},
};
use crate::metric::{AnyReading, Reading};

/// Publishes readings that were made elsewhere in this process.
///
/// Publishing never waits for a subscriber. After the bus was shut down it
/// does nothing.
#[derive(Debug)]
pub struct Publisher<R: Reading> {
    core: Arc<Core>,
    topic: usize,
    reading: PhantomData<fn() -> R>,
}

impl<R: Reading> Publisher<R> {
    pub(super) fn new(core: Arc<Core>, topic: usize) -> Self {
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
        let at = self.core.clock.now();
        let mut state = lock(&self.topic().state);
        if state.shut_down {
            return;
        }
        state.prune(self.topic(), now);
        state.counters.published += 1;
        state.succeed(self.topic(), reading, Taken::at(at), Recipients::DueAt(now));
    }

    /// Says that so many readings were lost before they could be published.
    /// The sequence jumps by as many, and every subscriber is told that it
    /// missed them.
    pub fn lost(&self, count: u64) {
        let mut state = lock(&self.topic().state);
        state.sequence += count;
        state.counters.lost += count;
        state.subscribers.miss(count);
    }

    /// Says that there is no reading, and why.
    pub fn unavailable(&self, reason: &str) {
        let now = self.core.timeline.now_ns();
        let at = self.core.clock.now();
        let mut state = lock(&self.topic().state);
        if state.shut_down {
            return;
        }
        state.prune(self.topic(), now);
        state.counters.failures += 1;
        state.fail(self.topic(), reason, at, Recipients::DueAt(now));
    }

    /// Whether anybody is subscribed.
    pub fn is_wanted(&self) -> bool {
        let topic = self.topic();
        let mut state = lock(&topic.state);
        state.prune(topic, self.core.timeline.now_ns());
        state.subscribers.len() > 0
    }

    fn topic(&self) -> &Topic {
        &self.core.topics[self.topic]
    }
}

impl<R: Reading> Clone for Publisher<R> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.core), self.topic)
    }
}
