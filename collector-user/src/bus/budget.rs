//! How much the readings that the bus keeps may take together.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::sync::lock;
use crate::{feed::QueuedBytes, metric::AnyReading};

/// The budget of the cache unless another was set: room for the rows of some
/// ten thousand processes, several times over.
pub(super) const DEFAULT: usize = 32 << 20;

/// How much of a queue stays when the budget is used up.
const QUEUE_IN_NEED: usize = 1 << 20;

/// How much the readings that the bus keeps may take together: those in the
/// cache, and those that wait in queues.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) bytes: usize,
    /// The uncut size of the last reading of each metric, by its index.
    wanted: Mutex<Vec<usize>>,
    /// The sum of `wanted`.
    cached: AtomicUsize,
    /// The bytes of the readings that wait in queues, each counted once.
    queued: Arc<AtomicUsize>,
    cuts: AtomicU64,
}

impl Budget {
    pub(super) fn new(bytes: usize, metrics: usize) -> Self {
        Self {
            bytes,
            wanted: Mutex::new(vec![0; metrics]),
            cached: AtomicUsize::new(0),
            queued: Arc::default(),
            cuts: AtomicU64::new(0),
        }
    }

    /// How many readings were cut since the start.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// The bytes of the readings that wait in queues.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Counts the bytes of a reading while it waits in queues: until the last
    /// queue drops this.
    pub(super) fn hold(&self, bytes: usize) -> Arc<QueuedBytes> {
        Arc::new(QueuedBytes::count(bytes, &self.queued))
    }

    /// How many bytes may wait in one queue: little, when the budget is used up.
    pub(super) fn queue_bytes(&self) -> usize {
        let cached = self.cached.load(Ordering::Relaxed);
        if cached.saturating_add(self.queued_bytes()) > self.bytes {
            QUEUE_IN_NEED.min(self.bytes)
        } else {
            usize::MAX
        }
    }

    /// Notes the uncut size of a reading. The answer is the size to which each
    /// reading must be cut, if all do not fit.
    pub(super) fn note(&self, metric: usize, bytes: usize) -> Option<usize> {
        let mut wanted = lock(&self.wanted);
        wanted[metric] = bytes;
        let sum = wanted.iter().sum::<usize>();
        self.cached.store(sum.min(self.bytes), Ordering::Relaxed);
        if sum <= self.bytes {
            return None;
        }
        Some(share(&wanted, self.bytes))
    }

    /// A reading cut to a size; `None` if it is no larger, or cannot be cut.
    pub(super) fn cut(
        &self,
        reading: &Arc<dyn AnyReading>,
        limit: usize,
    ) -> Option<Arc<dyn AnyReading>> {
        if reading.total_bytes() <= limit {
            return None;
        }
        let cut = reading.cut_to_any(limit)?;
        self.cuts.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            metric = cut.metric().name(),
            limit,
            "a reading was cut to fit the cache"
        );
        Some(cut)
    }
}

/// The largest size such that all, cut to it, fit into the budget. So only the
/// largest are cut, and a large one never at the cost of a small one.
fn share(sizes: &[usize], budget: usize) -> usize {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    let mut left = budget;
    for (index, &size) in sizes.iter().enumerate() {
        let each = left / (sizes.len() - index);
        if size > each {
            return each;
        }
        left -= size;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::share;

    #[test]
    fn only_the_largest_are_cut() {
        assert_eq!(share(&[10, 20, 500], 100), 70);
        assert_eq!(share(&[10, 200, 500], 100), 45);
        assert_eq!(share(&[10, 20, 30], 100), usize::MAX);
    }

    proptest! {
        #[test]
        fn all_shares_together_fit_and_leave_nothing_that_was_wanted(
            sizes in prop::collection::vec(0..10_000_usize, 1..25),
            budget in 0..100_000_usize,
        ) {
            let limit = share(&sizes, budget);
            let sum: usize = sizes.iter().map(|&size| size.min(limit)).sum();
            prop_assert!(sum <= budget);
            if limit != usize::MAX {
                prop_assert!(budget - sum < sizes.len());
            }
        }
    }
}
