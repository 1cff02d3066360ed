use std::{iter, sync::Arc};

use super::{Key, key};
use crate::metric::Process;

/// The changes of a list: new rows, and keys whose row was removed. In the
/// order of the keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Vec<(Key, Option<Arc<Process>>)>);

impl Changes {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of rows among them.
    pub(super) fn rows(&self) -> usize {
        self.0.iter().filter(|(_key, row)| row.is_some()).count()
    }

    /// The keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.0.iter().map(|(key, _row)| *key)
    }

    /// The change of a key; `None` without one.
    pub(super) fn get(&self, wanted: Key) -> Option<&Option<Arc<Process>>> {
        let at = self.0.binary_search_by_key(&wanted, |(key, _row)| *key);
        Some(&self.0.get(at.ok()?)?.1)
    }

    /// The row with the highest key of this PID.
    pub(super) fn last_of(&self, pid: u32) -> Option<&Arc<Process>> {
        let after = self
            .0
            .partition_point(|(key, _row)| *key <= (pid, u64::MAX));
        let before = self.0.get(..after)?.iter().rev();
        before
            .take_while(|((number, _start), _row)| *number == pid)
            .find_map(|(_key, row)| row.as_ref())
    }

    /// Sets or removes the row of a key. Returns its row before: without a
    /// change that is the one that `base` finds.
    ///
    /// A key that changes repeatedly is found here: a search among all rows
    /// touches memory that is in no cache.
    pub(super) fn put<'a>(
        &mut self,
        key: Key,
        row: Option<Arc<Process>>,
        base: impl Fn() -> Option<&'a Arc<Process>>,
    ) -> Option<Arc<Process>> {
        match self.0.binary_search_by_key(&key, |(key, _row)| *key) {
            Ok(at) if row.is_none() && base().is_none() => self.0.remove(at).1,
            Ok(at) => std::mem::replace(&mut self.0.get_mut(at)?.1, row),
            Err(at) => {
                let before = base().cloned();
                if row.is_some() || before.is_some() {
                    self.0.insert(at, (key, row));
                }
                before
            }
        }
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = (Key, Option<Arc<Process>>)> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }

    /// The rows of `base` with the changes applied.
    pub(super) fn over<'a>(
        &'a self,
        base: impl Iterator<Item = &'a Arc<Process>>,
    ) -> impl Iterator<Item = &'a Arc<Process>> {
        let mut base = base.peekable();
        let mut changes = self.0.iter().peekable();
        iter::from_fn(move || {
            loop {
                let Some((changed, row)) = changes.peek() else {
                    return base.next();
                };
                match base.peek().map(|row| key(row)) {
                    Some(next) if next < *changed => return base.next(),
                    Some(next) if next == *changed => drop(base.next()),
                    _ => {}
                }
                changes.next();
                if row.is_some() {
                    return row.as_ref();
                }
            }
        })
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(Key, Option<Arc<Process>>)>()
    }
}
