use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Ended, mailbox::Mailbox};
use crate::metric::{AnySample, Missed};

/// The samples of one subscription that wait.
pub(crate) type Inbox = Mailbox<Queued, Ended>;

/// A sample that waits.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) sample: AnySample,
    /// The bytes of its reading, where a budget counts them.
    pub(crate) _counted: Option<Arc<QueuedBytes>>,
}

/// The bytes of a reading that waits in queues, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct QueuedBytes {
    bytes: usize,
    sum: Arc<AtomicUsize>,
}

impl QueuedBytes {
    /// Adds to the sum until this is dropped.
    pub(crate) fn count(bytes: usize, sum: &Arc<AtomicUsize>) -> Self {
        sum.fetch_add(bytes, Ordering::Relaxed);
        Self {
            bytes,
            sum: Arc::clone(sum),
        }
    }
}

impl Drop for QueuedBytes {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where the samples of a subscription come from. The subscription keeps it
/// alive.
pub(crate) trait Upstream: fmt::Debug + Send + Sync {
    /// A sample that only says what was missed, after which nothing has come.
    fn gap(&self, slot: Slot, missed: Missed) -> AnySample;

    /// The subscription was dropped. This must not block.
    fn unsubscribed(&self, slot: Slot);
}

/// Which subscription of an upstream it is; what that means is the upstream's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) topic: usize,
    pub(crate) subscriber: usize,
}
