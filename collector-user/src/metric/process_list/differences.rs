use std::{
    iter::{self, Peekable},
    sync::Arc,
};

use super::{Key, ProcessList, key};
use crate::metric::Process;

/// The difference of a process between two lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Difference<'l> {
    /// It is in the newer list only.
    Begun(&'l Arc<Process>),
    /// Its row has changed.
    Changed(&'l Arc<Process>, &'l Arc<Process>),
    /// It is in the older list only.
    Ended(&'l Arc<Process>),
}

impl<'l> Difference<'l> {
    /// The difference between two rows of a process, if there is one.
    fn of(older: Option<&'l Arc<Process>>, newer: Option<&'l Arc<Process>>) -> Option<Self> {
        match (older, newer) {
            (Some(older), Some(newer)) if Arc::ptr_eq(older, newer) => None,
            (Some(older), Some(newer)) => Some(Self::Changed(older, newer)),
            (Some(older), None) => Some(Self::Ended(older)),
            (None, Some(newer)) => Some(Self::Begun(newer)),
            (None, None) => None,
        }
    }
}

impl ProcessList {
    /// The differences to an older list, in the order of the keys.
    ///
    /// For two copies of one list, as consecutive readings are, the cost is
    /// that of the changes; else a comparison per process.
    pub(crate) fn since<'l>(&'l self, older: &'l Self) -> impl Iterator<Item = Difference<'l>> {
        let shares = Arc::ptr_eq(&self.base, &older.base);
        let changed = shares.then(|| self.changed_since(older));
        let compared = (!shares).then(|| compared(older.shared(), self.shared()));
        let changed = changed.into_iter().flatten();
        changed.chain(compared.into_iter().flatten())
    }

    /// The differences of two lists that share all but the changed rows.
    fn changed_since<'l>(&'l self, older: &'l Self) -> impl Iterator<Item = Difference<'l>> {
        let row = |list: &'l Self, wanted: Key| match list.changes.get(wanted) {
            Some(row) => row.as_ref(),
            None => list.base.get(wanted),
        };
        let (mut old, mut new) = (
            older.changes.keys().peekable(),
            self.changes.keys().peekable(),
        );
        let keys = iter::from_fn(move || {
            let next = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => *old.min(new),
                (old, new) => *old.or(new)?,
            };
            old.next_if_eq(&next);
            new.next_if_eq(&next);
            Some(next)
        });
        keys.filter_map(move |key| Difference::of(row(older, key), row(self, key)))
    }
}

/// The differences of any two lists. Shared rows are recognised by their
/// address.
fn compared<'l>(
    older: impl Iterator<Item = &'l Arc<Process>>,
    newer: impl Iterator<Item = &'l Arc<Process>>,
) -> impl Iterator<Item = Difference<'l>> {
    let (mut older, mut newer) = (older.peekable(), newer.peekable());
    iter::from_fn(move || {
        loop {
            let pair = next_pair(&mut older, &mut newer)?;
            let difference = Difference::of(pair.0, pair.1);
            if difference.is_some() {
                return difference;
            }
        }
    })
}

/// The row of a process in each of two lists.
type Pair<'l> = (Option<&'l Arc<Process>>, Option<&'l Arc<Process>>);

/// The rows of the lowest remaining key, in each of two lists.
fn next_pair<'l>(
    older: &mut Peekable<impl Iterator<Item = &'l Arc<Process>>>,
    newer: &mut Peekable<impl Iterator<Item = &'l Arc<Process>>>,
) -> Option<Pair<'l>> {
    let (old, new) = match (older.peek(), newer.peek()) {
        (Some(old), Some(new)) => (*old, *new),
        (None, None) => return None,
        _ => return Some((older.next(), newer.next())),
    };
    Some(if Arc::ptr_eq(old, new) || key(old) == key(new) {
        (older.next(), newer.next())
    } else if key(old) < key(new) {
        (older.next(), None)
    } else {
        (None, newer.next())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(pid: u32, start_time_ns: u64, threads: u32) -> Process {
        Process {
            pid,
            start_time_ns,
            threads: Some(threads),
            ..Process::default()
        }
    }

    fn differences_as_text(older: &ProcessList, newer: &ProcessList) -> Vec<String> {
        let text = |row: &Process| format!("{}.{}:{:?}", row.pid, row.start_time_ns, row.threads);
        newer
            .since(older)
            .map(|difference| match difference {
                Difference::Begun(row) => format!("+{}", text(row)),
                Difference::Changed(older, newer) => {
                    assert_eq!(key(older), key(newer));
                    format!("={}", text(newer))
                }
                Difference::Ended(row) => format!("-{}", text(row)),
            })
            .collect()
    }

    #[test]
    fn rows_begin_change_and_end_and_shared_ones_are_passed_over() {
        let older: ProcessList = [row(1, 0, 1), row(2, 0, 1), row(4, 7, 1), row(9, 0, 1)]
            .into_iter()
            .collect();
        let mut newer = older.clone();
        newer.insert(row(2, 0, 2));
        newer.insert(row(3, 0, 1));
        newer.remove(4, 7);
        newer.insert(row(4, 8, 1));
        newer.remove(9, 0);
        let expected = [
            "=2.0:Some(2)",
            "+3.0:Some(1)",
            "-4.7:Some(1)",
            "+4.8:Some(1)",
            "-9.0:Some(1)",
        ];
        assert_eq!(differences_as_text(&older, &newer), expected);
        assert!(differences_as_text(&newer, &newer.clone()).is_empty());
    }

    proptest! {
        /// Whichever rows two lists share.
        #[test]
        fn it_is_what_a_comparison_of_all_rows_gives(
            steps in prop::collection::vec((0..30_u32, 0..2_u64, 0..3_u32, any::<bool>()), 0..300),
        ) {
            let mut list = ProcessList::default();
            let mut kept = vec![list.copy()];
            for (number, (pid, start, threads, ends)) in steps.into_iter().enumerate() {
                if ends {
                    list.remove(pid, start);
                } else {
                    list.insert(row(pid, start, threads));
                }
                if number % 20 == 0 {
                    kept.push(list.copy());
                }
            }
            kept.push(list.copy());
            for pair in kept.windows(2) {
                let all: Vec<Difference<'_>> = compared(pair[0].shared(), pair[1].shared()).collect();
                let told: Vec<Difference<'_>> = pair[1].since(&pair[0]).collect();
                prop_assert_eq!(format!("{told:?}"), format!("{all:?}"));
            }
        }
    }
}
