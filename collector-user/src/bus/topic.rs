use std::sync::{Arc, Mutex, MutexGuard, atomic::AtomicUsize};

use tokio::sync::Notify;

use super::{end::wait_for, state::State, sync::lock, topic_info::TopicInfo};
use crate::feed::Ended;

/// One metric on the bus, and its subscribers.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) info: TopicInfo,
    state: Mutex<State>,
    /// Subscriptions that were dropped. It has a lock of its own, so that a
    /// subscription can be dropped anywhere, also while a sample is being
    /// delivered.
    gone: Mutex<Vec<usize>>,
    /// Notified when a collection has ended, or is found to hang.
    pub(super) collected: Notify,
    /// Notified of a new subscription.
    pub(super) wanted: Arc<Notify>,
    /// The publishers of the metric.
    pub(super) publishers: AtomicUsize,
}

impl Topic {
    pub(super) fn new(info: TopicInfo) -> Self {
        Self {
            state: Mutex::new(State::new(&info)),
            info,
            gone: Mutex::default(),
            collected: Notify::new(),
            wanted: Arc::default(),
            publishers: AtomicUsize::new(0),
        }
    }

    /// The state, without the subscriptions that were dropped.
    pub(super) fn state(&self, now: u64) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        let gone = std::mem::take(&mut *lock(&self.gone));
        state.remove(&self.info, gone, now);
        state
    }

    /// The state, perhaps with subscriptions that were dropped.
    pub(super) fn state_as_is(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A subscription was dropped. This does not wait for the state.
    pub(super) fn remove_later(&self, subscriber: usize) {
        lock(&self.gone).push(subscriber);
    }

    /// No more samples will come. The first reason stays.
    pub(super) fn end(&self, why: &Ended) {
        let mut state = lock(&self.state);
        state.end.get_or_insert_with(|| why.clone());
        state.subscribers.end(why);
        drop(state);
        self.collected.notify_waiters();
        self.wanted.notify_waiters();
    }

    /// Waits for something that becomes true when a collection ends or is
    /// found to hang.
    pub(super) async fn wait_until(&self, mut done: impl FnMut(&State) -> bool) {
        wait_for(&self.collected, || done(&lock(&self.state)).then_some(())).await;
    }
}
