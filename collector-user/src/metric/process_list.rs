use std::{fmt, ops::Index, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Process;

/// How many rows a page holds at the most.
///
/// A change of one row copies the pointers of its page; a copy of the list
/// copies the pointers to its pages. 64 keeps both below a microsecond up to
/// some ten thousand processes.
const PAGE: usize = 64;

/// Processes in the order of their numbers.
///
/// A copy shares all rows with its original, and changing a row of one copies
/// only the page that the row is in. So a reading of fifty thousand processes
/// of which a hundred ran costs what the hundred cost.
///
/// ```
/// use collector::metric::{Process, ProcessList};
///
/// let row = |pid| Process { pid, ..Process::default() };
/// let list: ProcessList = [row(7), row(3)].into_iter().collect();
/// let pids: Vec<u32> = list.iter().map(|process| process.pid).collect();
/// assert_eq!(pids, [3, 7]);
/// assert!(list.get(7).is_some());
/// ```
#[derive(Clone, Default)]
pub struct ProcessList {
    /// None is empty, and their rows rise from one to the next.
    pages: Vec<Arc<Vec<Arc<Process>>>>,
    len: usize,
    text_bytes: usize,
}

/// What a process is told from others by.
type Key = (u32, u64);

fn key(process: &Process) -> Key {
    (process.pid, process.start_time_ns)
}

fn text_bytes(process: &Process) -> usize {
    process.comm.len()
        + process.cmdline.as_ref().map_or(0, |text| text.len())
        + process.cgroup.as_ref().map_or(0, |text| text.len())
}

impl ProcessList {
    /// How many processes there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The processes, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.pages
            .iter()
            .flat_map(|page| page.iter())
            .map(|row| &**row)
    }

    /// The processes, in the order of their numbers, to be kept without a
    /// copy.
    pub fn shared(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// The process that has this number; the younger one, should an older one
    /// not have been seen to end yet.
    pub fn get(&self, pid: u32) -> Option<&Process> {
        let (page, at) = self.position((pid, u64::MAX));
        // The place after the last row of this number.
        let row = match at.checked_sub(1) {
            Some(before) => self.pages.get(page)?.get(before)?,
            None => self.pages.get(page.checked_sub(1)?)?.last()?,
        };
        (row.pid == pid).then_some(&**row)
    }

    /// Adds a process, or replaces the row that it had.
    pub fn insert(&mut self, row: Process) {
        self.insert_shared(Arc::new(row));
    }

    /// Adds a process, or replaces the row that it had, without a copy.
    pub fn insert_shared(&mut self, row: Arc<Process>) {
        let key = key(&row);
        self.text_bytes += text_bytes(&row);
        let (page, at) = self.position(key);
        let Some(rows) = self.pages.get_mut(page) else {
            self.pages.push(Arc::new(vec![row]));
            self.len += 1;
            return;
        };
        let rows = Arc::make_mut(rows);
        if let Some(old) = rows.get_mut(at).filter(|old| self::key(old) == key) {
            self.text_bytes -= text_bytes(old);
            *old = row;
            return;
        }
        rows.insert(at, row);
        self.len += 1;
        if rows.len() > PAGE {
            // New processes mostly have the highest number: a full last page
            // is left full.
            let keep = if at + 1 == rows.len() { PAGE } else { PAGE / 2 };
            let rest = rows.split_off(keep);
            self.pages.insert(page + 1, Arc::new(rest));
        }
    }

    /// Takes a process out; `None` if it is not there.
    pub fn remove(&mut self, pid: u32, start_time_ns: u64) -> Option<Arc<Process>> {
        let key = (pid, start_time_ns);
        let (page, at) = self.position(key);
        let rows = self.pages.get_mut(page)?;
        if rows.get(at).is_none_or(|row| self::key(row) != key) {
            return None;
        }
        let rows = Arc::make_mut(rows);
        let row = rows.remove(at);
        self.text_bytes -= text_bytes(&row);
        self.len -= 1;
        if rows.is_empty() {
            self.pages.remove(page);
        } else if rows.len() < PAGE / 4 {
            self.merge(page);
        }
        Some(row)
    }

    /// Joins a page that has become small with the one after it, if both fit.
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

    /// The bytes that the list holds on the heap, those included that it
    /// shares with its copies.
    pub(crate) fn heap_bytes(&self) -> usize {
        // Each shared value has two counters before it.
        const SHARED: usize = 2 * size_of::<usize>();
        let row = size_of::<Process>() + SHARED + size_of::<Arc<Process>>();
        let page = size_of::<Vec<Arc<Process>>>() + SHARED + size_of::<Arc<Vec<Arc<Process>>>>();
        self.len * row + self.pages.capacity() * page + self.text_bytes
    }

    /// The page and the place in it that a key has, or would have.
    fn position(&self, key: Key) -> (usize, usize) {
        let after = self
            .pages
            .partition_point(|page| page.first().is_some_and(|row| self::key(row) <= key));
        let page = after.saturating_sub(1);
        let at = self
            .pages
            .get(page)
            .map_or(0, |rows| rows.partition_point(|row| self::key(row) < key));
        (page, at)
    }
}

impl fmt::Debug for ProcessList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for ProcessList {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Index<usize> for ProcessList {
    type Output = Process;

    /// The process at a place in the order.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    fn index(&self, mut at: usize) -> &Process {
        for page in &self.pages {
            if let Some(row) = page.get(at) {
                return row;
            }
            at -= page.len();
        }
        let beyond: &[Process] = &[];
        &beyond[at]
    }
}

impl FromIterator<Process> for ProcessList {
    fn from_iter<I: IntoIterator<Item = Process>>(rows: I) -> Self {
        let mut list = Self::default();
        for row in rows {
            list.insert(row);
        }
        list
    }
}

impl From<Vec<Process>> for ProcessList {
    fn from(rows: Vec<Process>) -> Self {
        rows.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a ProcessList {
    type Item = &'a Process;
    type IntoIter = Box<dyn Iterator<Item = &'a Process> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl Serialize for ProcessList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ProcessList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Process>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn row(pid: u32, start_time_ns: u64, cpu_ns: u64) -> Process {
        Process {
            pid,
            start_time_ns,
            cpu_ns: Some(cpu_ns),
            comm: "x".into(),
            ..Process::default()
        }
    }

    #[derive(Clone, Debug)]
    enum Change {
        Insert(u32, u64, u64),
        Remove(u32, u64),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            3 => (0..400u32, 0..2u64, any::<u64>()).prop_map(|(p, s, c)| Change::Insert(p, s, c)),
            2 => (0..400u32, 0..2u64).prop_map(|(p, s)| Change::Remove(p, s)),
        ]
    }

    proptest! {
        #[test]
        fn the_list_is_a_sorted_map(changes in prop::collection::vec(change(), 0..1500)) {
            let mut list = ProcessList::default();
            let mut model = BTreeMap::new();
            for change in changes {
                match change {
                    Change::Insert(pid, start, cpu) => {
                        list.insert(row(pid, start, cpu));
                        model.insert((pid, start), cpu);
                    }
                    Change::Remove(pid, start) => {
                        let removed = list.remove(pid, start).and_then(|row| row.cpu_ns);
                        prop_assert_eq!(removed, model.remove(&(pid, start)));
                    }
                }
            }
            prop_assert_eq!(list.len(), model.len());
            let rows: Vec<_> = list.iter().map(|row| (key(row), row.cpu_ns)).collect();
            let expected: Vec<_> = model.iter().map(|(&key, &cpu)| (key, Some(cpu))).collect();
            prop_assert_eq!(rows, expected);
            prop_assert_eq!(list.text_bytes, model.len());
            prop_assert!(list.pages.iter().all(|page| !page.is_empty() && page.len() <= PAGE));
            for pid in 0..400 {
                let newest = model.range((pid, 0)..=(pid, u64::MAX)).next_back();
                prop_assert_eq!(
                    list.get(pid).map(key),
                    newest.map(|(&key, _)| key)
                );
            }
        }
    }

    #[test]
    fn a_copy_shares_all_rows_but_those_that_changed_since() {
        let list: ProcessList = (0..10_000).map(|pid| row(pid, 0, 0)).collect();
        let mut changed = list.clone();
        changed.insert(row(5_000, 0, 1));
        let pairs = list.shared().zip(changed.shared());
        assert_eq!(pairs.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
        assert_eq!(list.get(5_000).and_then(|row| row.cpu_ns), Some(0));
    }
}
