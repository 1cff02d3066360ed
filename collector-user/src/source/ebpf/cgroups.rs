use std::sync::Arc;

use crate::{
    metric::{Cgroup, Container},
    source::cgroup::{CgroupTable, GroupId, Hierarchies, Usage, container_of},
};

/// The number of the root of the hierarchy of version 2: `kernfs_create_root`
/// of `fs/kernfs/dir.c` gives numbers from 1 on.
const ROOT: u64 = 1;

/// Where a process is: kept with its account.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The number of its cgroup of version 2, where the kernel told it.
    id: Option<u64>,
    pub(crate) path: Option<Arc<str>>,
    pub(crate) container: Option<Arc<Container>>,
    /// Whether it was moved since the path was looked up.
    is_stale: bool,
    /// How often it was found to have been moved.
    moves: u32,
    group: Option<GroupId>,
}

impl Place {
    /// Whether `/proc` is to be asked for the path.
    pub(crate) const fn needs_path(&self) -> bool {
        self.path.is_none() || self.is_stale
    }

    /// How often the process was found to have been moved: a path that was read
    /// before the last time is not that of its cgroup.
    pub(crate) const fn moves(&self) -> u32 {
        self.moves
    }

    /// Where a child of this process is, unless the kernel says otherwise.
    pub(crate) fn of_child(&self) -> Origin {
        Origin {
            group: self.group,
            path: self.path.clone(),
            container: self.container.clone(),
        }
    }
}

/// Where a process comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    group: Option<GroupId>,
    path: Option<Arc<str>>,
    container: Option<Arc<Container>>,
}

/// The cgroups of all processes, and what was used in each.
///
/// A process has a cgroup of version 2 on every host, and the kernel tells its
/// number with each fork and move. On a host with hierarchies of version 1
/// that is mostly the root, or the unit of a container runtime whose containers
/// are in the hierarchies of version 1 only: there the path of
/// `/proc/PID/cgroup` is looked up for each process, and stands for the cgroup
/// unless it is that of the number.
#[derive(Debug)]
pub(crate) struct Cgroups {
    table: CgroupTable,
    hierarchies: Hierarchies,
    /// Whether the numbers of version 2 tell cgroups apart on this host.
    are_numbered: bool,
}

impl Cgroups {
    pub(crate) fn new(hierarchies: Hierarchies) -> Self {
        Self {
            table: CgroupTable::default(),
            are_numbered: hierarchies.only_version_2,
            hierarchies,
        }
    }

    /// Moves on to a later time: what follows happens then.
    pub(crate) fn advance_to(&mut self, monotonic_ns: u64) {
        self.table.advance_to(monotonic_ns);
    }

    /// Whether the cgroup with this number is the cgroup of its processes.
    const fn tells(&self, id: u64) -> bool {
        id != 0 && (id != ROOT || self.hierarchies.only_version_2)
    }

    /// Whether that needs no look at `/proc`: there is no hierarchy of version
    /// 1 in which the process may be elsewhere.
    const fn is_certain(&self, id: u64) -> bool {
        self.hierarchies.only_version_2 && self.tells(id)
    }

    /// Whether a path from `/proc` is that of the cgroup with this number.
    fn agree(&self, id: u64, path: &str) -> bool {
        if self.hierarchies.only_version_2 {
            self.hierarchies.agree(id, path)
        } else {
            self.hierarchies.exists(Some(id), Some(path))
        }
    }

    /// A process has begun; `counted` is what of it has been counted.
    pub(crate) fn begin(
        &mut self,
        place: &mut Place,
        id: u64,
        origin: Option<Origin>,
        counted: &Usage,
    ) {
        if !self.is_certain(id)
            && place.path.is_none()
            && let Some(origin) = origin
        {
            // What `/proc` says is still asked for: a child may be made in
            // another cgroup than its parent's.
            place.is_stale = true;
            place.path = origin.path;
            place.container = origin.container;
            if let Some(group) = origin.group {
                self.table.enter_row(&mut place.group, group, counted);
            }
            if place.path.is_some() && self.tells(id) {
                self.are_numbered = true;
                place.id = Some(id);
                return;
            }
        }
        self.find(place, id, counted);
    }

    /// A process was found in this cgroup of version 2, or 0 if that is not
    /// known; `counted` is what of it has been counted. Returns whether anything
    /// changed.
    pub(crate) fn find(&mut self, place: &mut Place, id: u64, counted: &Usage) -> bool {
        let before = place.id.replace(id);
        if before.is_some_and(|before| before != id) {
            place.moves = place.moves.wrapping_add(1);
        }
        let has_row = place.group != Some(GroupId::OTHER);
        if before == Some(id) && has_row {
            return false;
        }
        if !self.tells(id) {
            place.is_stale |= before.is_some_and(|before| self.tells(before));
            return before != Some(id);
        }
        self.are_numbered = true;
        let group = self.table.of_id(id);
        self.table.enter_row(&mut place.group, group, counted);
        if id == ROOT {
            self.table.set_path(group, &"/".into());
        }
        place.is_stale = !self.is_certain(id);
        if before != Some(id) {
            (place.path, place.container) = (None, None);
        }
        self.name(place);
        true
    }

    /// A process was moved to this cgroup of version 2, or in a hierarchy of
    /// version 1; `used` is what it used before, and `counted` what of that has
    /// been counted.
    pub(crate) fn moved(&mut self, place: &mut Place, id: u64, counted: &Usage, used: &Usage) {
        self.count(place, counted, used);
        place.is_stale |= !self.is_certain(id);
        // In a hierarchy of version 1, without another number.
        place.moves = place.moves.wrapping_add(1);
        self.find(place, id, used);
    }

    /// Takes over the path that another process of the same cgroup brought.
    /// Returns whether there was one.
    pub(crate) fn name(&self, place: &mut Place) -> bool {
        let Some((path, container)) = place
            .group
            .filter(|_| place.path.is_none())
            .and_then(|group| self.table.name(group))
        else {
            return false;
        };
        (place.path, place.container) = (Some(path), container);
        true
    }

    /// The path that `/proc/PID/cgroup` tells of a process; `used` is what it
    /// used before, and `counted` what of that has been counted.
    pub(crate) fn looked_up(
        &mut self,
        place: &mut Place,
        path: Arc<str>,
        counted: &Usage,
        used: &Usage,
    ) {
        self.count(place, counted, used);
        let id = place.id.unwrap_or(0);
        place.is_stale = false;
        let group = if self.tells(id) && self.agree(id, &path) {
            self.table.of_id(id)
        } else if self.is_certain(id) {
            // It has been moved since the kernel told the number.
            return;
        } else {
            // It may be in a cgroup of version 2 of which the kernel has not told
            // yet: one cgroup has one row.
            match self.hierarchies.number(&path) {
                Some(number) if id != 0 && self.tells(number) => self.table.of_id(number),
                _ => self.table.of_path(&path),
            }
        };
        self.table.enter_row(&mut place.group, group, used);
        self.table.set_path(group, &path);
        // One without a row of its own has a path all the same.
        let name = self.table.name(group).filter(|(known, _)| *known == path);
        let (path, container) = name.unwrap_or_else(|| {
            let container = container_of(&path).map(Arc::new);
            (path, container)
        });
        (place.path, place.container) = (Some(path), container);
    }

    /// A process may have been moved without a word, as events were lost.
    pub(crate) fn distrust(&self, place: &mut Place) {
        place.is_stale |= !self.is_certain(place.id.unwrap_or(0));
    }

    /// What a process used up to now, of which so much has been counted.
    pub(crate) fn count(&mut self, place: &mut Place, counted: &Usage, used: &Usage) {
        self.table.count_growth(&mut place.group, counted, used);
    }

    /// A process has ended, with all that it used, of which so much has been
    /// counted.
    pub(crate) fn end(&mut self, place: &Place, counted: &Usage, used: &Usage) {
        self.table.leave_row(place.group, counted, used);
    }

    /// Counts what was used in cgroups that are gone as removed.
    pub(crate) fn sweep(&mut self) {
        let hierarchies = &self.hierarchies;
        self.table.sweep(|id, path| hierarchies.exists(id, path));
    }

    pub(crate) fn rows(&mut self) -> Vec<Arc<Cgroup>> {
        self.table.rows()
    }

    /// Whether the numbers of version 2 tell cgroups apart on this host: it
    /// has no others, or some processes are in one of these.
    pub(crate) const fn are_numbered(&self) -> bool {
        self.are_numbered
    }

    /// Whether the cgroup with this number is known.
    pub(crate) fn has(&self, id: u64) -> bool {
        id == ROOT || self.table.has_id(id)
    }

    /// The path of the cgroup with this number.
    pub(crate) fn path_of(&self, id: u64) -> Option<Arc<str>> {
        if id == ROOT {
            Some("/".into())
        } else {
            self.table.path_of_id(id)
        }
    }
}

#[cfg(test)]
#[path = "cgroups_tests.rs"]
mod tests;
