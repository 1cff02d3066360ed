use std::{collections::HashMap, sync::Arc};

use super::{Usage, container_of};
use crate::metric::{Cgroup, CgroupKind, Container};

/// How many cgroups have a row at the most. Their rows take some 300 KiB.
const MAX_ROWS: usize = 1024;

/// A row of a [`CgroupTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupId(u32);

impl GroupId {
    /// The row of the processes whose cgroup is not known.
    pub(crate) const UNKNOWN: Self = Self(0);
    /// The row of the cgroups for which there was no row.
    pub(crate) const OTHER: Self = Self(1);
    /// The row of the cgroups that were removed.
    const REMOVED: Self = Self(2);
}

/// In which row a process counts, and what of it has been counted, for those
/// who do not know that otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member {
    group: Option<GroupId>,
    counted: Usage,
}

/// What the processes of each cgroup used.
///
/// Told what a process used so far, and how much of that was counted before, it
/// adds what is new to the cgroup that the process is in now. So a cgroup costs
/// something when one of its processes ran, and nothing that was used is in two
/// rows or in none. Which row a process counts in is kept with the process.
#[derive(Debug)]
pub(crate) struct CgroupTable {
    /// The rows of the other kinds, then those of cgroups.
    groups: Vec<Option<Group>>,
    free: Vec<usize>,
    by_id: HashMap<u64, usize>,
    by_path: HashMap<Arc<str>, usize>,
    /// How many cgroups may have a row.
    limit: usize,
    /// The time up to which threads that sleep have slept, on the monotonic
    /// clock.
    at_ns: u64,
}

#[derive(Debug, Default)]
struct Group {
    processes: u64,
    used: Usage,
    /// The most that was ever told: a counter never goes back.
    told: Usage,
    /// What was told last, and is shared with those that were told.
    row: Arc<Cgroup>,
    is_changed: bool,
    /// Whether no process was in it at the last sweep.
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
            // What is not known any more of the sum is not known of its peak.
            self.told.raise_to(&used);
            let row = Arc::make_mut(&mut self.row);
            row.processes = self.processes;
            if row.kind == CgroupKind::Unknown {
                used.write_to(row);
            } else {
                self.told.write_to(row);
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

    /// Moves on to a later time: what follows happens then.
    pub(crate) fn advance_to(&mut self, monotonic_ns: u64) {
        self.at_ns = self.at_ns.max(monotonic_ns);
    }

    /// The row of the cgroup of version 2 with this number.
    pub(crate) fn of_id(&mut self, id: u64) -> GroupId {
        if let Some(&group) = self.by_id.get(&id) {
            return GroupId(group as u32);
        }
        let added = self.add(Cgroup {
            id: Some(id),
            ..Cgroup::default()
        });
        if added != GroupId::OTHER {
            self.by_id.insert(id, added.0 as usize);
        }
        added
    }

    /// The row of the cgroup with this path, of which no number is known.
    pub(crate) fn of_path(&mut self, path: &Arc<str>) -> GroupId {
        if let Some(&group) = self.by_path.get(path) {
            return GroupId(group as u32);
        }
        let added = self.add(Cgroup {
            path: Some(Arc::clone(path)),
            container: container_of(path).map(Arc::new),
            ..Cgroup::default()
        });
        if added != GroupId::OTHER {
            self.by_path.insert(Arc::clone(path), added.0 as usize);
        }
        added
    }

    fn add(&mut self, row: Cgroup) -> GroupId {
        if self.by_id.len() + self.by_path.len() >= self.limit {
            return GroupId::OTHER;
        }
        let group = Some(Group::new(row));
        if let Some(at) = self.free.pop()
            && let Some(place) = self.groups.get_mut(at)
        {
            *place = group;
            return GroupId(at as u32);
        }
        self.groups.push(group);
        GroupId(self.groups.len() as u32 - 1)
    }

    fn get(&self, group: GroupId) -> Option<&Group> {
        self.groups.get(group.0 as usize)?.as_ref()
    }

    /// To change a row: it is made anew for the next reading.
    fn change(&mut self, group: GroupId) -> Option<&mut Group> {
        let group = self.groups.get_mut(group.0 as usize)?.as_mut()?;
        group.is_changed = true;
        Some(group)
    }

    /// The path of a row's cgroup, once it is known, and what it tells.
    pub(crate) fn name(&self, group: GroupId) -> Option<(Arc<str>, Option<Arc<Container>>)> {
        let row = &self.get(group)?.row;
        Some((row.path.clone()?, row.container.clone()))
    }

    /// The path of the cgroup with this number, where it is known.
    pub(crate) fn path_of_id(&self, id: u64) -> Option<Arc<str>> {
        let group = *self.by_id.get(&id)?;
        self.get(GroupId(group as u32))?.row.path.clone()
    }

    /// Whether the cgroup with this number has a row.
    pub(crate) fn has_id(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Takes in the path of a cgroup that has a row by its number.
    pub(crate) fn set_path(&mut self, group: GroupId, path: &Arc<str>) {
        if let Some(group) = self.change(group)
            && group.row.kind == CgroupKind::Cgroup
            && group.row.path.as_ref() != Some(path)
        {
            let row = Arc::make_mut(&mut group.row);
            row.path = Some(Arc::clone(path));
            row.container = container_of(path).map(Arc::new);
        }
    }

    /// As [`enter_row`](Self::enter_row).
    pub(crate) fn enter(&mut self, member: &mut Member, to: GroupId) {
        self.enter_row(&mut member.group, to, &member.counted);
    }

    /// As [`count_growth`](Self::count_growth).
    pub(crate) fn count(&mut self, member: &mut Member, used: &Usage) {
        self.count_growth(&mut member.group, &member.counted, used);
        member.counted = *used;
    }

    /// As [`leave_row`](Self::leave_row).
    pub(crate) fn leave(&mut self, member: Member, used: &Usage) {
        self.leave_row(member.group, &member.counted, used);
    }

    /// A process is in this cgroup from now on. What it used before, all of
    /// which is counted, stays where that was, unless that was not known.
    pub(crate) fn enter_row(&mut self, place: &mut Option<GroupId>, to: GroupId, counted: &Usage) {
        if *place == Some(to) || (place.is_some() && to == GroupId::UNKNOWN) {
            return;
        }
        let at_ns = self.at_ns;
        let mut brought = None;
        if let Some(from) = *place
            && let Some(group) = self.change(from)
        {
            group.processes = group.processes.saturating_sub(1);
            brought = Some(if from == GroupId::UNKNOWN {
                group.used.take_off(counted);
                *counted
            } else {
                group.used.split_off_sleep(counted, at_ns)
            });
        }
        *place = Some(to);
        if let Some(group) = self.change(to) {
            group.processes += 1;
            group.was_empty = false;
            if let Some(brought) = brought {
                group.used.add(&brought);
            }
        }
    }

    /// What a process used up to now, of which so much has been counted.
    pub(crate) fn count_growth(
        &mut self,
        place: &mut Option<GroupId>,
        counted: &Usage,
        used: &Usage,
    ) {
        if place.is_none() {
            self.enter_row(place, GroupId::UNKNOWN, counted);
        }
        if counted == used {
            return;
        }
        if let Some(group) = self.change(place.unwrap_or(GroupId::UNKNOWN)) {
            group.used.add_growth(counted, used);
        }
    }

    /// A process has ended, with all that it ever used, of which so much has
    /// been counted.
    pub(crate) fn leave_row(&mut self, mut place: Option<GroupId>, counted: &Usage, used: &Usage) {
        self.count_growth(&mut place, counted, used);
        if let Some(group) = place.and_then(|group| self.change(group)) {
            group.processes = group.processes.saturating_sub(1);
        }
    }

    /// The rows: those of cgroups, and of the other kinds those that are not
    /// empty. What has not changed is shared with the rows before.
    pub(crate) fn rows(&mut self) -> Vec<Arc<Cgroup>> {
        let at_ns = self.at_ns;
        let groups = self.groups.iter_mut().flatten();
        let told = groups.filter(|group| {
            group.row.kind == CgroupKind::Cgroup || group.processes > 0 || !group.used.is_zero()
        });
        told.map(|group| Arc::clone(group.row(at_ns))).collect()
    }

    /// Counts the cgroups that are gone as removed: those in which no process
    /// was at the last sweep nor is now, and that are not there by `exists`,
    /// which is asked for the number and the path.
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
            if let Some(place) = self.groups.get_mut(at) {
                *place = None;
            }
            self.free.push(at);
            if let Some(removed) = self.change(GroupId::REMOVED) {
                removed.used.add(&used);
            }
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
