//! How much the cached readings may take together.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::{core::Core, sync::lock};
use crate::metric::AnyReading;

/// The budget of the cache unless another was set: room for the rows of some
/// ten thousand processes, several times over.
pub(super) const DEFAULT: usize = 32 << 20;

/// How much the cached readings may take together, and would take uncut.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) bytes: usize,
    /// The uncut size of the last reading of each metric, by its place.
    wanted: Mutex<Vec<usize>>,
    cuts: AtomicU64,
}

impl Budget {
    pub(super) fn new(bytes: usize, metrics: usize) -> Self {
        Self {
            bytes,
            wanted: Mutex::new(vec![0; metrics]),
            cuts: AtomicU64::new(0),
        }
    }

    /// How many readings were cut since the start.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Notes the uncut size of a reading. The answer is the size to which each
    /// reading must be cut, if all do not fit.
    fn note(&self, place: usize, bytes: usize) -> Option<usize> {
        let mut wanted = lock(&self.wanted);
        wanted[place] = bytes;
        if wanted.iter().sum::<usize>() <= self.bytes {
            return None;
        }
        Some(share(&wanted, self.bytes))
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

impl Core {
    /// A new reading of the metric at `place`, cut if the cache would be over
    /// its budget; then what is cached of other metrics is cut as well. What
    /// cannot be cut stays whole.
    pub(super) fn fit(&self, place: usize, reading: Arc<dyn AnyReading>) -> Arc<dyn AnyReading> {
        let Some(limit) = self.budget.note(place, reading.total_bytes()) else {
            return reading;
        };
        for (other, topic) in self.topics.iter().enumerate() {
            if other == place {
                continue;
            }
            if let Some(cached) = &mut lock(&topic.state).cached
                && let Some(data) = &cached.sample.data
                && let Some(cut) = self.cut(data, limit)
            {
                cached.bytes = cut.total_bytes();
                cached.sample.data = Some(cut);
            }
        }
        self.cut(&reading, limit).unwrap_or(reading)
    }

    fn cut(&self, reading: &Arc<dyn AnyReading>, limit: usize) -> Option<Arc<dyn AnyReading>> {
        if reading.total_bytes() <= limit {
            return None;
        }
        let cut = reading.cut_to_any(limit)?;
        self.budget.cuts.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            metric = cut.metric().name,
            limit,
            "a reading was cut to fit the cache"
        );
        Some(cut)
    }
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
