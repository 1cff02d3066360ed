use std::{collections::HashMap, sync::Arc};

use super::{Usage, container_of};
use crate::metric::{Cgroup, CgroupKind, Container};

/// The most cgroups that have a row. The rows take about 300 KiB.
const MAX_ROWS: usize = 1024;

/// A row of a [`CgroupTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowId(u32);

impl RowId {
    /// The row of the processes whose cgroup is unknown.
    pub(crate) const UNKNOWN: Self = Self(0);
    /// The row of the cgroups beyond [`MAX_ROWS`].
    pub(crate) const OTHER: Self = Self(1);
    /// The row of the cgroups that were removed.
    const REMOVED: Self = Self(2);
}

/// The row in which a process is counted, and its usage as counted so far: for
/// callers that do not keep these otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableMember {
    row: Option<RowId>,
    counted: Usage,
}

/// The usage of the processes of each cgroup.
///
/// Given the usage of a process and the usage that was counted before, it adds
/// the growth to the cgroup in which the process is now. So a cgroup costs
/// something only when one of its processes ran, and each usage is in exactly
/// one row. The row of a process is kept with the process.
#[derive(Debug)]
pub(crate) struct CgroupTable {
    /// The rows of the other kinds, then those of cgroups.
    groups: Vec<Option<Group>>,
    free: Vec<usize>,
    by_id: HashMap<u64, usize>,
    by_path: HashMap<Arc<str>, usize>,
    /// The most cgroups that may have a row.
    limit: usize,
    /// The time up to which sleep in flight is counted, by `CLOCK_MONOTONIC`.
    at_ns: u64,
}

#[derive(Debug, Default)]
struct Group {
    processes: u64,
    used: Usage,
    /// The highest published usage: a counter never decreases.
    published: Usage,
    /// The row as last built, shared with the readings that have it.
    row: Arc<Cgroup>,
    is_changed: bool,
    /// Whether it had no process at the last sweep.
    was_empty: bool,
}

impl Group {
    fn new(row: Cgroup) -> Self {
        Self {
            row: Arc::new(row),
            is_changed: true,
            ..Self::default()
        }
    }

    fn row(&mut self, at_ns: u64) -> &Arc<Cgroup> {
        if std::mem::take(&mut self.is_changed) || self.used.grows() {
            let used = self.used.at(at_ns);
            // A counter that is unknown in the sum is unknown in the maximum.
            self.published.raise_to(&used);
            let row = Arc::make_mut(&mut self.row);
            row.processes = self.processes;
            if row.kind == CgroupKind::Unknown {
                used.write_to(row);
            } else {
                self.published.write_to(row);
            }
        }
        &self.row
    }
}

impl Default for CgroupTable {
    fn default() -> Self {
        Self::with_limit(MAX_ROWS)
    }
}

impl CgroupTable {
    fn with_limit(limit: usize) -> Self {
        let kinds = [CgroupKind::Unknown, CgroupKind::Other, CgroupKind::Removed];
        let groups = kinds.map(|kind| {
            Some(Group::new(Cgroup {
                kind,
                ..Cgroup::default()
            }))
        });
        Self {
            groups: groups.into(),
            free: Vec::new(),
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            limit,
            at_ns: 0,
        }
    }

    /// Moves on to a later time, at which the changes that follow happen.
    pub(crate) fn advance_to(&mut self, monotonic_ns: u64) {
        self.at_ns = self.at_ns.max(monotonic_ns);
    }

    /// The row of the cgroup v2 with this ID.
    pub(crate) fn of_id(&mut self, id: u64) -> RowId {
        if let Some(&group) = self.by_id.get(&id) {
            return RowId(group as u32);
        }
        let added = self.add(Cgroup {
            id: Some(id),
            ..Cgroup::default()
        });
        if added != RowId::OTHER {
            self.by_id.insert(id, added.0 as usize);
        }
        added
    }

    /// The row of the cgroup with this path, whose ID is unknown.
    pub(crate) fn of_path(&mut self, path: &Arc<str>) -> RowId {
        if let Some(&group) = self.by_path.get(path) {
            return RowId(group as u32);
        }
        let added = self.add(Cgroup {
            path: Some(Arc::clone(path)),
            container: container_of(path).map(Arc::new),
            ..Cgroup::default()
        });
        if added != RowId::OTHER {
            self.by_path.insert(Arc::clone(path), added.0 as usize);
        }
        added
    }

    fn add(&mut self, row: Cgroup) -> RowId {
        if self.by_id.len() + self.by_path.len() >= self.limit {
            return RowId::OTHER;
        }
        let group = Some(Group::new(row));
        if let Some(at) = self.free.pop()
            && let Some(row_id) = self.groups.get_mut(at)
        {
            *row_id = group;
            return RowId(at as u32);
        }
        self.groups.push(group);
        RowId(self.groups.len() as u32 - 1)
    }

    fn get(&self, row: RowId) -> Option<&Group> {
        self.groups.get(row.0 as usize)?.as_ref()
    }

    /// A row to be changed: it is built again for the next reading.
    fn change(&mut self, row: RowId) -> Option<&mut Group> {
        let group = self.groups.get_mut(row.0 as usize)?.as_mut()?;
        group.is_changed = true;
        Some(group)
    }

    /// The path of a row's cgroup, if known, and the container that it names.
    pub(crate) fn path_of(&self, row: RowId) -> Option<(Arc<str>, Option<Arc<Container>>)> {
        let row = &self.get(row)?.row;
        Some((row.path.clone()?, row.container.clone()))
    }

    /// The path of the cgroup with this ID, if known.
    pub(crate) fn path_of_id(&self, id: u64) -> Option<Arc<str>> {
        let group = *self.by_id.get(&id)?;
        self.get(RowId(group as u32))?.row.path.clone()
    }

    /// Whether the cgroup with this ID has a row.
    pub(crate) fn has_id(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Sets the path of a cgroup whose row is known by its ID.
    pub(crate) fn set_path(&mut self, row: RowId, path: &Arc<str>) {
        if let Some(group) = self.change(row)
            && group.row.kind == CgroupKind::Cgroup
            && group.row.path.as_ref() != Some(path)
        {
            let row = Arc::make_mut(&mut group.row);
            row.path = Some(Arc::clone(path));
            row.container = container_of(path).map(Arc::new);
        }
    }

    /// As [`enter_row`](Self::enter_row).
    pub(crate) fn enter(&mut self, member: &mut TableMember, to: RowId) {
        self.enter_row(&mut member.row, to, &member.counted);
    }

    /// As [`count_growth`](Self::count_growth).
    pub(crate) fn count(&mut self, member: &mut TableMember, used: &Usage) {
        self.count_growth(&mut member.row, &member.counted, used);
        member.counted = *used;
    }

    /// As [`leave_row`](Self::leave_row).
    pub(crate) fn leave(&mut self, member: TableMember, used: &Usage) {
        self.leave_row(member.row, &member.counted, used);
    }

    /// A process is in this cgroup from now on. Its usage so far, all of which is
    /// counted, stays in its old row, unless that is the row of the unknown.
    pub(crate) fn enter_row(&mut self, row_id: &mut Option<RowId>, to: RowId, counted: &Usage) {
        if *row_id == Some(to) || (row_id.is_some() && to == RowId::UNKNOWN) {
            return;
        }
        let at_ns = self.at_ns;
        let mut moved = None;
        if let Some(from) = *row_id
            && let Some(group) = self.change(from)
        {
            group.processes = group.processes.saturating_sub(1);
            moved = Some(if from == RowId::UNKNOWN {
                group.used.subtract(counted);
                *counted
            } else {
                group.used.split_off_sleep(counted, at_ns)
            });
        }
        *row_id = Some(to);
        if let Some(group) = self.change(to) {
            group.processes += 1;
            group.was_empty = false;
            if let Some(moved) = moved {
                group.used.add(&moved);
            }
        }
    }

    /// Counts the usage of a process, of which `counted` has been counted.
    pub(crate) fn count_growth(
        &mut self,
        row_id: &mut Option<RowId>,
        counted: &Usage,
        used: &Usage,
    ) {
        if row_id.is_none() {
            self.enter_row(row_id, RowId::UNKNOWN, counted);
        }
        if counted == used {
            return;
        }
        if let Some(group) = self.change(row_id.unwrap_or(RowId::UNKNOWN)) {
            group.used.add_growth(counted, used);
        }
    }

    /// A process exited with this final usage, of which `counted` has been
    /// counted.
    pub(crate) fn leave_row(&mut self, mut row_id: Option<RowId>, counted: &Usage, used: &Usage) {
        self.count_growth(&mut row_id, counted, used);
        if let Some(group) = row_id.and_then(|group| self.change(group)) {
            group.processes = group.processes.saturating_sub(1);
        }
    }

    /// The rows of cgroups, and those of the other kinds that are not empty.
    /// Unchanged rows are shared with the last reading.
    pub(crate) fn rows(&mut self) -> Vec<Arc<Cgroup>> {
        let at_ns = self.at_ns;
        let groups = self.groups.iter_mut().flatten();
        let published = groups.filter(|group| {
            group.row.kind == CgroupKind::Cgroup || group.processes > 0 || !group.used.is_zero()
        });
        published
            .map(|group| Arc::clone(group.row(at_ns)))
            .collect()
    }

    /// Moves the usage of removed cgroups to the row of these: of cgroups that
    /// had no process at the last sweep, have none now, and do not exist according
    /// to `exists`, which is called with the ID and the path.
    pub(crate) fn sweep(&mut self, exists: impl Fn(Option<u64>, Option<&str>) -> bool) {
        for at in 0..self.groups.len() {
            let Some(group) = self.groups.get_mut(at).and_then(Option::as_mut) else {
                continue;
            };
            let row = &group.row;
            if row.kind != CgroupKind::Cgroup || group.processes > 0 {
                continue;
            }
            let was_empty = std::mem::replace(&mut group.was_empty, true);
            if !was_empty || exists(row.id, row.path.as_deref()) {
                continue;
            }
            match (row.id, &row.path) {
                (Some(id), _) => drop(self.by_id.remove(&id)),
                (None, Some(path)) => drop(self.by_path.remove(path)),
                (None, None) => {}
            }
            let used = group.used;
            if let Some(removed) = self.groups.get_mut(at) {
                *removed = None;
            }
            self.free.push(at);
            if let Some(removed) = self.change(RowId::REMOVED) {
                removed.used.add(&used);
            }
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
