use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq as _};

use super::{
    Process,
    schema::{FieldValue, List, Value, ValueType},
};
use changes::Changes;
#[cfg(feature = "prometheus")]
pub(crate) use differences::Difference;
use pages::Pages;

mod changes;
mod differences;
mod pages;

/// Each `Arc` has two counters before its value.
const SHARED: usize = 2 * size_of::<usize>();

/// Processes in the order of their PIDs.
///
/// A copy shares all rows with its original. Later changes are kept beside the
/// shared rows, in a list of their own, until merging them pays. So the cost of
/// a reading of fifty thousand processes of which a hundred ran is that of the
/// hundred.
///
/// Sleeping threads add to the sleep of their process without a change of its
/// row. So a list has a time, and [`iter`](Self::iter) and [`get`](Self::get)
/// show each process as of that time.
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
    /// Most rows, shared as a whole by all copies.
    base: Arc<Pages>,
    /// The changes since.
    changes: Changes,
    len: usize,
    text_bytes: usize,
    /// The time of the list, on the monotonic clock.
    as_of_ns: u64,
    /// The number of changes since the last copy, and of older changes that the
    /// copies since the last merge have copied again.
    fresh: usize,
    copied_again: usize,
}

/// The identity of a process: PID and start time.
type Key = (u32, u64);

fn key(process: &Process) -> Key {
    (process.pid, process.start_time_ns)
}

fn text_bytes(process: &Process) -> usize {
    process.comm.len()
        + process.cmdline.as_ref().map_or(0, |text| text.len())
        + process.cgroup.as_ref().map_or(0, |text| text.len())
        + process.container.owned_bytes()
}

impl ProcessList {
    /// An empty list as of a time on the monotonic clock.
    pub(crate) fn as_of(monotonic_ns: u64) -> Self {
        Self {
            as_of_ns: monotonic_ns,
            ..Self::default()
        }
    }

    /// The time as of which the processes are shown, on the monotonic clock; 0
    /// if no thread sleeps.
    pub const fn as_of_ns(&self) -> u64 {
        self.as_of_ns
    }

    /// Advances the list to a later time.
    pub(crate) const fn set_as_of(&mut self, monotonic_ns: u64) {
        self.as_of_ns = monotonic_ns;
    }

    /// The number of processes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the list is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The processes, in the order of their PIDs.
    ///
    /// The row of a process with sleeping threads is a copy that includes their
    /// sleep up to the [time](Self::as_of_ns) of the list.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, Process>> {
        self.shared().map(|row| row.at(self.as_of_ns))
    }

    /// The shared rows of the processes, in the order of their PIDs. The sleep
    /// of sleeping threads is added by [`Process::at`] with the
    /// [time](Self::as_of_ns) of the list.
    pub fn shared(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.changes.over(self.base.iter())
    }

    /// The process with this PID; the younger one, if the exit of an older one
    /// has not been seen yet.
    pub fn get(&self, pid: u32) -> Option<Cow<'_, Process>> {
        let changed = self.changes.last_of(pid);
        let mut up_to = (pid, u64::MAX);
        let base = loop {
            match self.base.last_up_to(up_to).filter(|row| row.pid == pid) {
                // An unchanged older one may exist.
                Some(row) if self.changes.get(key(row)).is_some() && row.start_time_ns > 0 => {
                    up_to = (pid, row.start_time_ns - 1);
                }
                Some(row) if self.changes.get(key(row)).is_some() => break None,
                row => break row,
            }
        };
        let newest = changed
            .into_iter()
            .chain(base)
            .max_by_key(|row| row.start_time_ns);
        newest.map(|row| row.at(self.as_of_ns))
    }

    /// The process at an index, for tests that know the list. It takes as long
    /// as iterating, and an index does not identify a process.
    #[cfg(test)]
    pub(crate) fn at(&self, position: usize) -> Process {
        self.iter().nth(position).unwrap().into_owned()
    }

    /// Adds a process, or replaces its row.
    pub fn insert(&mut self, row: Process) {
        self.insert_shared(Arc::new(row));
    }

    /// Adds a process, or replaces its row, without a copy.
    pub fn insert_shared(&mut self, row: Arc<Process>) {
        self.text_bytes += text_bytes(&row);
        let old = self.change(key(&row), Some(row));
        match old {
            Some(old) => self.text_bytes -= text_bytes(&old),
            None => self.len += 1,
        }
    }

    /// Removes a process; `None` if it is not in the list.
    pub fn remove(&mut self, pid: u32, start_time_ns: u64) -> Option<Arc<Process>> {
        let row = self.change((pid, start_time_ns), None)?;
        self.text_bytes -= text_bytes(&row);
        self.len -= 1;
        Some(row)
    }

    /// Replaces or removes a row, and returns the old one.
    fn change(&mut self, key: Key, row: Option<Arc<Process>>) -> Option<Arc<Process>> {
        if Arc::strong_count(&self.base) == 1 || self.changes.len() > self.len / 16 + 256 {
            let base = self.merge();
            return match row {
                Some(row) => base.insert(row),
                None => base.remove(key),
            };
        }
        self.fresh += 1;
        self.changes.put(key, row, || self.base.get(key))
    }

    /// A copy of a list that continues to change. The changes are merged first
    /// if copying them repeatedly has cost as much as that.
    #[must_use]
    pub fn copy(&mut self) -> Self {
        self.copied_again += self.changes.len().saturating_sub(self.fresh);
        self.fresh = 0;
        if self.copied_again > self.len {
            self.merge();
        }
        self.clone()
    }

    /// Merges the changes into the shared rows.
    fn merge(&mut self) -> &mut Pages {
        (self.fresh, self.copied_again) = (0, 0);
        let base = Arc::make_mut(&mut self.base);
        for (key, row) in self.changes.take() {
            match row {
                Some(row) => base.insert(row),
                None => base.remove(key),
            };
        }
        base
    }

    /// The bytes that the list owns on the heap, those included that it shares
    /// with its copies.
    pub(crate) fn heap_bytes(&self) -> usize {
        let rows = self.base.len() + self.changes.rows();
        rows * (size_of::<Process>() + SHARED)
            + self.base.heap_bytes()
            + self.changes.heap_bytes()
            + self.text_bytes
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
    type Item = Cow<'a, Process>;
    type IntoIter = Box<dyn Iterator<Item = Cow<'a, Process>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl FieldValue for ProcessList {
    const TYPE: ValueType = ValueType::List(&Process::TYPE);

    fn value(&self) -> Value<'_> {
        Value::List(self)
    }

    fn owned_bytes(&self) -> usize {
        self.heap_bytes()
    }
}

impl List for ProcessList {
    fn for_each(&self, visit: &mut dyn FnMut(Value<'_>)) {
        for row in self.iter() {
            visit(Value::Record(&*row));
        }
    }
}

impl Serialize for ProcessList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Formats that do not describe themselves need the length.
        let mut rows = serializer.serialize_seq(Some(self.len))?;
        for row in self.iter() {
            rows.serialize_element(&*row)?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for ProcessList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Process>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;
    use crate::metric::Sleepers;

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
        Copy,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            1 => Just(Change::Copy),
            30 => (0..400u32, 0..2u64, any::<u64>()).prop_map(|(p, s, c)| Change::Insert(p, s, c)),
            20 => (0..400u32, 0..2u64).prop_map(|(p, s)| Change::Remove(p, s)),
        ]
    }

    proptest! {
        #[test]
        fn the_list_is_a_sorted_map(changes in prop::collection::vec(change(), 0..1500)) {
            let mut list = ProcessList::default();
            let mut model = BTreeMap::new();
            // Like the cache, which keeps the last copies.
            let mut copies = VecDeque::new();
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
                    Change::Copy => {
                        copies.push_back((list.copy(), model.clone()));
                        if copies.len() > 2 {
                            copies.pop_front();
                        }
                    }
                }
            }
            copies.push_back((list, model));
            for (list, model) in copies {
                agree(&list, &model)?;
            }
        }
    }

    fn agree(list: &ProcessList, model: &BTreeMap<Key, u64>) -> Result<(), TestCaseError> {
        prop_assert_eq!(list.len(), model.len());
        let rows: Vec<_> = list.iter().map(|row| (key(&row), row.cpu_ns)).collect();
        let expected: Vec<_> = model.iter().map(|(&key, &cpu)| (key, Some(cpu))).collect();
        prop_assert_eq!(rows, expected);
        prop_assert_eq!(list.text_bytes, model.len());
        prop_assert!(list.base.are_well_formed());
        for pid in 0..400 {
            let newest = model.range((pid, 0)..=(pid, u64::MAX)).next_back();
            prop_assert_eq!(
                list.get(pid).map(|row| (key(&row), row.cpu_ns)),
                newest.map(|(&key, &cpu)| (key, Some(cpu)))
            );
        }
        Ok(())
    }

    #[test]
    fn processes_are_shown_as_of_the_time_of_the_list() {
        let mut sleeps = row(1, 0, 7);
        sleeps.interruptible_sleep_ns = Some(1_000);
        sleeps.uninterruptible_sleep_ns = Some(10);
        sleeps.blocked_ns = Some(1_010);
        *sleeps.asleep.of_kind(false) = Sleepers::one(100);
        let mut list = ProcessList::as_of(150);
        list.insert(sleeps);
        list.insert(row(2, 0, 7));
        let shown = |list: &ProcessList| {
            let row = list.get(1).unwrap().into_owned();
            assert_eq!(list.iter().next().as_deref(), Some(&row));
            (
                row.blocked_ns,
                row.interruptible_sleep_ns,
                row.uninterruptible_sleep_ns,
            )
        };
        assert_eq!(shown(&list), (Some(1_060), Some(1_050), Some(10)));
        let before = list.copy();
        list.set_as_of(170);
        assert_eq!(shown(&before), (Some(1_060), Some(1_050), Some(10)));
        assert_eq!(shown(&list), (Some(1_080), Some(1_070), Some(10)));
        assert!(
            list.shared()
                .zip(before.shared())
                .all(|(a, b)| Arc::ptr_eq(a, b))
        );
        let json = serde_json::to_value(&list).unwrap();
        assert_eq!(json[0]["blocked_ns"], 1_080);
        assert_eq!(json[0]["interruptible_sleep_ns"], 1_070);
        assert_eq!(json[1]["blocked_ns"], serde_json::Value::Null);
        let read: ProcessList = serde_json::from_value(json).unwrap();
        assert_eq!(read, list, "what is read shows the same");
    }

    #[test]
    fn the_list_is_serialized_with_its_length() {
        let mut list: ProcessList = (0..70).map(|pid| row(pid, 0, 0)).collect();
        list.remove(3, 0);
        list.insert(row(100, 0, 0));
        let mut json = serde_json::to_value(&list).unwrap();
        assert_eq!(json.as_array().map(Vec::len), Some(70));
        let back: ProcessList = serde_json::from_value(json.take()).unwrap();
        assert_eq!(back, list);
        // A format that needs the length rejects a list without it.
        let bytes = postcard::to_allocvec(&list).unwrap();
        assert_eq!(bytes.first(), Some(&70));
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

    #[test]
    fn a_copy_costs_what_changed_and_not_what_there_is() {
        let mut list: ProcessList = (0..50_000).map(|pid| row(pid, 0, 0)).collect();
        let mut kept = list.copy();
        for round in 1..1_000 {
            for pid in 0..100 {
                list.insert(row(pid * 500, 0, round));
            }
            let copy = list.copy();
            assert_eq!(copy.changes.len(), 100, "in round {round}");
            assert!(Arc::ptr_eq(&copy.base, &kept.base));
            kept = copy;
        }
    }

    #[test]
    fn changes_are_merged_before_they_cost_more_than_that() {
        let mut list: ProcessList = (0..50_000).map(|pid| row(pid, 0, 0)).collect();
        let mut kept = list.copy();
        let (mut most, mut copied) = (0, 0);
        // Different rows each time.
        for round in 0..500 {
            for pid in 0..100 {
                list.insert(row(pid * 500 + round % 500, 0, 1));
            }
            kept = list.copy();
            most = most.max(kept.changes.len());
            copied += kept.changes.len();
        }
        assert_eq!(
            kept.iter().filter(|row| row.cpu_ns == Some(1)).count(),
            50_000
        );
        assert!((1_000..4_000).contains(&most), "{most}");
        assert!(copied < 500 * 2_500, "{copied}");
    }
}
