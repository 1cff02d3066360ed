//! A bounded number of rows that stay.
//!
//! As in [`process_stats`](super::process_stats), a row counts from when it was
//! added, what has no row is in `other`, and the final value of a removed row
//! is in `gone`; so at any time all of them add up to the total, and none
//! decreases. Unlike there, a row stays as long as its key exists.

use std::{collections::HashMap, hash::Hash};

use crate::metric::ProcessCounters;

/// The rows, from reading to reading.
#[derive(Debug)]
pub(super) struct Sticky<K> {
    limit: usize,
    rows: HashMap<K, Row>,
    /// The counters in the last reading, of keys with and without a row.
    previous: Option<Vec<(K, ProcessCounters)>>,
    pub(super) other: ProcessCounters,
    pub(super) gone: ProcessCounters,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// The counters before it got a row: they are in `other`.
    before: ProcessCounters,
    shown: ProcessCounters,
}

impl<K: Clone + Eq + Hash> Sticky<K> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            rows: HashMap::new(),
            previous: None,
            other: ProcessCounters::default(),
            gone: ProcessCounters::default(),
        }
    }

    /// Processes the counters of a reading; `total` is their sum, over keys
    /// without a name too. Free rows go to the first keys.
    pub(super) fn update(&mut self, now: Vec<(K, ProcessCounters)>, total: ProcessCounters) {
        let mut rows = HashMap::with_capacity(self.limit);
        let mut free = self.limit;
        for (key, counters) in &now {
            if let Some(row) = self.rows.remove(key) {
                let shown = counters.minus(row.before).max(row.shown);
                rows.insert(key.clone(), Row { shown, ..row });
                free = free.saturating_sub(1);
            }
        }
        for row in self.rows.drain().map(|(_, row)| row) {
            self.gone = self.gone.plus(row.shown);
        }
        let begun = now.iter().filter(|(key, _)| !rows.contains_key(key));
        let begun: Vec<_> = begun.take(free).collect();
        if !begun.is_empty() {
            let known: Option<HashMap<&K, ProcessCounters>> = self
                .previous
                .as_ref()
                .map(|rows| rows.iter().map(|(key, row)| (key, *row)).collect());
            for (key, counters) in begun {
                // A key that is new since the last reading may have been
                // counted elsewhere before, so it starts now.
                let before = known.as_ref().map_or(ProcessCounters::default(), |known| {
                    known.get(key).copied().unwrap_or(*counters)
                });
                let shown = counters.minus(before);
                rows.insert(key.clone(), Row { before, shown });
            }
        }
        let in_rows = rows.values().map(|row| row.shown);
        let in_rows = in_rows.fold(self.gone, ProcessCounters::plus);
        self.other = total.minus(in_rows).max(self.other);
        self.rows = rows;
        self.previous = Some(now);
    }

    /// The counters of the row of this key; `None` if it has none.
    pub(super) fn shown(&self, key: &K) -> Option<ProcessCounters> {
        self.rows.get(key).map(|row| row.shown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counters(value: u64) -> ProcessCounters {
        ProcessCounters {
            cpu_ns: Some(value),
            ..ProcessCounters::default()
        }
    }

    fn value(counters: ProcessCounters) -> u64 {
        counters.cpu_ns.unwrap_or(0)
    }

    proptest! {
        #[test]
        fn all_rows_add_up_to_the_total_and_none_goes_back(
            limit in 0..4_usize,
            readings in prop::collection::vec(
                prop::collection::vec((0..8_u32, 0..50_u64, prop::bool::weighted(0.2)), 0..10),
                1..20,
            ),
        ) {
            let mut sticky = Sticky::new(limit);
            let mut alive: std::collections::BTreeMap<u32, u64> = [].into();
            let (mut removed, mut before) = (0, (0, 0));
            for steps in readings {
                for (key, grown, ends) in steps {
                    let count = alive.entry(key).or_default();
                    *count += grown;
                    if ends {
                        removed += *count;
                        alive.remove(&key);
                    }
                }
                let now: Vec<_> = alive.iter().map(|(&key, &n)| (key, counters(n))).collect();
                let total = alive.values().sum::<u64>() + removed;
                let previous: Vec<_> = (0..8).map(|key| sticky.shown(&key)).collect();
                sticky.update(now, counters(total));
                let rows: Vec<_> = (0..8).map(|key| sticky.shown(&key)).collect();
                let shown: u64 = rows.iter().flatten().map(|row| value(*row)).sum();
                prop_assert!(rows.iter().flatten().count() <= limit);
                prop_assert_eq!(shown + value(sticky.other) + value(sticky.gone), total);
                for (was, is) in previous.iter().zip(&rows) {
                    if let (Some(was), Some(is)) = (was, is) {
                        prop_assert!(value(*is) >= value(*was));
                    }
                }
                let sums = (value(sticky.other), value(sticky.gone));
                prop_assert!(sums.0 >= before.0 && sums.1 >= before.1);
                before = sums;
            }
        }
    }

    #[test]
    fn a_row_stays_while_it_is_there_and_counts_from_when_it_came() {
        let mut sticky = Sticky::new(1);
        sticky.update(vec![("a", counters(5)), ("b", counters(9))], counters(14));
        assert_eq!(sticky.shown(&"a").map(value), Some(5));
        sticky.update(vec![("b", counters(20))], counters(25));
        assert_eq!(sticky.shown(&"b").map(value), Some(11));
        assert_eq!((value(sticky.other), value(sticky.gone)), (9, 5));
    }
}
