use std::{
    iter::{self, Peekable},
    sync::Arc,
};

use super::{Key, ProcessList, key};
use crate::metric::Process;

/// What became of a process from one list to another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Difference<'l> {
    /// It is in the newer list only.
    Begun(&'l Arc<Process>),
    /// It has another row.
    Changed(&'l Arc<Process>, &'l Arc<Process>),
    /// It is in the older list only.
    Ended(&'l Arc<Process>),
}

impl<'l> Difference<'l> {
    /// What two rows of a process come to, if it is something.
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
    /// What became of the processes of an older list, in the order of their
    /// keys.
    ///
    /// Where both are copies of one list, as two readings in a row mostly are,
    /// it costs what changed; else a comparison for each process.
    pub(crate) fn since<'l>(&'l self, older: &'l Self) -> impl Iterator<Item = Difference<'l>> {
        let shares = Arc::ptr_eq(&self.settled, &older.settled);
        let changed = shares.then(|| self.changed_since(older));
        let compared = (!shares).then(|| compared(older.shared(), self.shared()));
        let changed = changed.into_iter().flatten();
        changed.chain(compared.into_iter().flatten())
    }

    /// Of two lists that share all rows but the changed ones.
    fn changed_since<'l>(&'l self, older: &'l Self) -> impl Iterator<Item = Difference<'l>> {
        let row = |list: &'l Self, wanted: Key| match list.changes.get(wanted) {
            Some(row) => row.as_ref(),
            None => list.settled.get(wanted),
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

/// Of any two lists. Rows that both have are told by their address and not
/// looked at.
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

/// The rows of the lowest key that is left, in each of two lists.
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

    fn told(older: &ProcessList, newer: &ProcessList) -> Vec<String> {
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
        assert_eq!(told(&older, &newer), expected);
        assert!(told(&newer, &newer.clone()).is_empty());
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
