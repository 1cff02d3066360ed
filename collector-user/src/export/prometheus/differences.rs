use std::{iter::Peekable, sync::Arc};

use super::rows::key;
use crate::metric::{Process, ProcessList};

/// How one list of processes differs from another.
///
/// Rows that both share are told by their address and are not looked at, so
/// that it costs what changed and a comparison for each of the others.
pub(super) struct Differences<O: Iterator, N: Iterator> {
    old: Peekable<O>,
    new: Peekable<N>,
}

/// What became of a process.
pub(super) enum Difference<'l> {
    Begun(&'l Arc<Process>),
    Changed(&'l Arc<Process>, &'l Arc<Process>),
    Ended(&'l Arc<Process>),
}

pub(super) fn differences<'l>(
    old: &'l ProcessList,
    new: &'l ProcessList,
) -> impl Iterator<Item = Difference<'l>> {
    Differences {
        old: old.shared().peekable(),
        new: new.shared().peekable(),
    }
}

impl<'l, O, N> Iterator for Differences<O, N>
where
    O: Iterator<Item = &'l Arc<Process>>,
    N: Iterator<Item = &'l Arc<Process>>,
{
    type Item = Difference<'l>;

    fn next(&mut self) -> Option<Difference<'l>> {
        loop {
            let (old, new) = match (self.old.peek(), self.new.peek()) {
                (None, None) => return None,
                (Some(_), None) => return self.old.next().map(Difference::Ended),
                (None, Some(_)) => return self.new.next().map(Difference::Begun),
                (Some(old), Some(new)) => (*old, *new),
            };
            let is_same = Arc::ptr_eq(old, new);
            if is_same || key(old) == key(new) {
                self.old.next();
                self.new.next();
                if is_same {
                    continue;
                }
                return Some(Difference::Changed(old, new));
            }
            return if key(old) < key(new) {
                self.old.next().map(Difference::Ended)
            } else {
                self.new.next().map(Difference::Begun)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_change_and_end_and_shared_ones_are_passed_over() {
        let row = |pid, start_time_ns, threads| Process {
            pid,
            start_time_ns,
            threads: Some(threads),
            ..Process::default()
        };
        let old: ProcessList = [row(1, 0, 1), row(2, 0, 1), row(4, 7, 1), row(9, 0, 1)]
            .into_iter()
            .collect();
        let mut new = old.clone();
        new.insert(row(2, 0, 2));
        new.insert(row(3, 0, 1));
        new.remove(4, 7);
        new.insert(row(4, 8, 1));
        new.remove(9, 0);
        let told: Vec<String> = differences(&old, &new)
            .map(|difference| match difference {
                Difference::Begun(row) => format!("+{}", row.pid),
                Difference::Changed(old, new) => {
                    assert_eq!(key(old), key(new));
                    format!("={}", new.pid)
                }
                Difference::Ended(row) => format!("-{}", row.pid),
            })
            .collect();
        assert_eq!(told, ["=2", "+3", "-4", "+4", "-9"]);
        assert_eq!(differences(&new, &new.clone()).count(), 0);
    }
}
