use std::sync::Arc;

use super::{Key, key};
use crate::metric::Process;

/// The maximum number of rows of a page.
///
/// A change of one row copies the pointers of its page; a copy of all copies
/// the pointers to the pages. 64 keeps both below a microsecond up to some ten
/// thousand processes.
const PAGE: usize = 64;

/// Rows in the order of their keys. A copy shares the pages until they change.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    /// None is empty; their keys rise from one to the next.
    pages: Vec<Arc<Vec<Arc<Process>>>>,
    len: usize,
}

impl Pages {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// The row of a key.
    pub(super) fn get(&self, wanted: Key) -> Option<&Arc<Process>> {
        self.last_up_to(wanted).filter(|row| key(row) == wanted)
    }

    /// The last row whose key is at most this one.
    pub(super) fn last_up_to(&self, wanted: Key) -> Option<&Arc<Process>> {
        let page = self.page_of(wanted);
        let rows = self.pages.get(page)?;
        let after = rows.partition_point(|row| key(row) <= wanted);
        rows.get(after.checked_sub(1)?)
    }

    /// Adds a row, or replaces that of its key and returns it.
    pub(super) fn insert(&mut self, row: Arc<Process>) -> Option<Arc<Process>> {
        let wanted = key(&row);
        let page = self.page_of(wanted);
        let Some(rows) = self.pages.get_mut(page) else {
            self.pages.push(Arc::new(vec![row]));
            self.len += 1;
            return None;
        };
        let rows = Arc::make_mut(rows);
        let at = rows.partition_point(|row| key(row) < wanted);
        if let Some(old) = rows.get_mut(at).filter(|old| key(old) == wanted) {
            return Some(std::mem::replace(old, row));
        }
        rows.insert(at, row);
        self.len += 1;
        if rows.len() > PAGE {
            // New processes mostly have the highest PID: a full last page is
            // left full.
            let keep = if at + 1 == rows.len() { PAGE } else { PAGE / 2 };
            let rest = rows.split_off(keep);
            self.pages.insert(page + 1, Arc::new(rest));
        }
        None
    }

    /// Removes the row of a key.
    pub(super) fn remove(&mut self, wanted: Key) -> Option<Arc<Process>> {
        let page = self.page_of(wanted);
        let rows = self.pages.get_mut(page)?;
        let at = rows.partition_point(|row| key(row) < wanted);
        if rows.get(at).is_none_or(|row| key(row) != wanted) {
            return None;
        }
        let rows = Arc::make_mut(rows);
        let row = rows.remove(at);
        self.len -= 1;
        if rows.is_empty() {
            self.pages.remove(page);
        } else if rows.len() < PAGE / 4 {
            self.merge(page);
        }
        Some(row)
    }

    /// Merges a page that has become small with the next one, if both fit.
    fn merge(&mut self, page: usize) {
        let Some(next) = self.pages.get(page + 1).cloned() else {
            return;
        };
        if let Some(rows) = self.pages.get_mut(page)
            && rows.len() + next.len() <= PAGE / 2
        {
            Arc::make_mut(rows).extend(next.iter().cloned());
            self.pages.remove(page + 1);
        }
    }

    /// The bytes of the pages, without the rows.
    pub(super) fn heap_bytes(&self) -> usize {
        let page =
            size_of::<Vec<Arc<Process>>>() + super::SHARED + size_of::<Arc<Vec<Arc<Process>>>>();
        self.len * size_of::<Arc<Process>>() + self.pages.capacity() * page
    }

    /// The page of a key.
    fn page_of(&self, wanted: Key) -> usize {
        self.pages
            .partition_point(|page| page.first().is_some_and(|row| key(row) <= wanted))
            .saturating_sub(1)
    }

    #[cfg(test)]
    pub(super) fn are_well_formed(&self) -> bool {
        self.pages
            .iter()
            .all(|page| !page.is_empty() && page.len() <= PAGE)
    }
}
