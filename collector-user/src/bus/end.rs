//! The end of a bus, and waiting for something that is notified.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use super::sync::lock;
use crate::feed::Ended;

/// Whether, and why, nothing is collected any more.
#[derive(Debug, Default)]
pub(super) struct End {
    /// No collection begins any more.
    closing: AtomicBool,
    why: Mutex<Option<Ended>>,
    ended: Notify,
}

impl End {
    /// From now on no collection begins.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Nothing is collected any more. The first reason stays.
    pub(super) fn set(&self, why: &Ended) {
        self.close();
        lock(&self.why).get_or_insert_with(|| why.clone());
        self.ended.notify_waiters();
    }

    /// Why nothing is collected any more; `None` while the bus runs.
    pub(super) fn why(&self) -> Option<Ended> {
        lock(&self.why).clone()
    }

    pub(super) async fn wait(&self) -> Ended {
        wait_for(&self.ended, || self.why()).await
    }
}

/// Waits until there is an answer, which may be whenever `notify` is notified.
pub(super) async fn wait_for<T>(notify: &Notify, mut answer: impl FnMut() -> Option<T>) -> T {
    loop {
        let notified = notify.notified();
        let mut notified = std::pin::pin!(notified);
        // Before it is asked, or an answer that comes in between is missed.
        notified.as_mut().enable();
        if let Some(answer) = answer() {
            return answer;
        }
        notified.await;
    }
}
