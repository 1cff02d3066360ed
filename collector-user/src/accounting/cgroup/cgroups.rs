use std::sync::Arc;

use super::{CgroupFs, CgroupMembership, CgroupTable, ParentCgroup, RowId, Usage, container_of};
use crate::metric::Cgroup;

/// The ID of the root of the v2 hierarchy: `kernfs_create_root` of
/// `fs/kernfs/dir.c` allocates IDs from 1.
const ROOT: u64 = 1;

/// The cgroups of all processes, and the usage of each.
///
/// A process has a cgroup v2 on every host, and the kernel reports its ID at
/// each fork and move. On a host with hierarchies of version 1 that is mostly
/// the root, or the unit of a container runtime whose containers are in
/// hierarchies of version 1 only. There the path of `/proc/PID/cgroup` is read
/// for each process, and identifies the cgroup unless it is the path of the ID.
#[derive(Debug)]
pub(crate) struct Cgroups {
    table: CgroupTable,
    fs: Box<dyn CgroupFs>,
    /// Whether cgroup v2 IDs distinguish cgroups on this host.
    has_distinct_ids: bool,
}

impl Cgroups {
    pub(crate) fn new(fs: impl CgroupFs + 'static) -> Self {
        Self {
            table: CgroupTable::default(),
            has_distinct_ids: fs.is_v2_only(),
            fs: Box::new(fs),
        }
    }

    /// Moves on to a later time, at which the changes that follow happen.
    pub(crate) fn advance_to(&mut self, monotonic_ns: u64) {
        self.table.advance_to(monotonic_ns);
    }

    /// Whether the cgroup with this ID is the cgroup of its processes.
    fn is_cgroup_of_processes(&self, id: u64) -> bool {
        id != 0 && (id != ROOT || self.fs.is_v2_only())
    }

    /// Whether that is certain without `/proc`: there is no hierarchy of version
    /// 1, in which the process may have another cgroup.
    fn is_certain(&self, id: u64) -> bool {
        self.fs.is_v2_only() && self.is_cgroup_of_processes(id)
    }

    /// Whether a path from `/proc` is that of the cgroup with this ID.
    fn is_path_of(&self, id: u64, path: &str) -> bool {
        if self.fs.is_v2_only() {
            self.fs.is_path_of(id, path)
        } else {
            self.fs.exists(Some(id), Some(path))
        }
    }

    /// A process was forked in the cgroup with this ID. `counted` is its usage
    /// as counted so far.
    pub(crate) fn fork(
        &mut self,
        member: &mut CgroupMembership,
        id: u64,
        parent: Option<ParentCgroup>,
        counted: &Usage,
    ) {
        if !self.is_certain(id)
            && member.path.is_none()
            && let Some(parent) = parent
        {
            // The path is read from `/proc` all the same: a child may be created
            // in another cgroup than its parent's (`CLONE_INTO_CGROUP`).
            member.is_stale = true;
            member.path = parent.path;
            member.container = parent.container;
            if let Some(row) = parent.row {
                self.table.enter_row(&mut member.row, row, counted);
            }
            if member.path.is_some() && self.is_cgroup_of_processes(id) {
                self.has_distinct_ids = true;
                member.id = Some(id);
                return;
            }
        }
        self.observe(member, id, counted);
    }

    /// A process was observed in the cgroup with this ID, or 0 if unknown.
    /// `counted` is its usage as counted so far. Returns whether anything
    /// changed.
    pub(crate) fn observe(
        &mut self,
        member: &mut CgroupMembership,
        id: u64,
        counted: &Usage,
    ) -> bool {
        let before = member.id.replace(id);
        if before.is_some_and(|before| before != id) {
            member.moves = member.moves.wrapping_add(1);
        }
        let has_row = member.row != Some(RowId::OTHER);
        if before == Some(id) && has_row {
            return false;
        }
        if !self.is_cgroup_of_processes(id) {
            member.is_stale |= before.is_some_and(|before| self.is_cgroup_of_processes(before));
            return before != Some(id);
        }
        self.has_distinct_ids = true;
        let row = self.table.of_id(id);
        self.table.enter_row(&mut member.row, row, counted);
        if id == ROOT {
            self.table.set_path(row, &"/".into());
        }
        member.is_stale = !self.is_certain(id);
        if before != Some(id) {
            (member.path, member.container) = (None, None);
        }
        self.set_known_path(member);
        true
    }

    /// A process was moved to the cgroup with this ID, or in a hierarchy of
    /// version 1. `used` is its usage up to then, of which `counted` has been
    /// counted.
    pub(crate) fn move_to(
        &mut self,
        member: &mut CgroupMembership,
        id: u64,
        counted: &Usage,
        used: &Usage,
    ) {
        self.count(member, counted, used);
        member.is_stale |= !self.is_certain(id);
        // A move in a hierarchy of version 1 leaves the ID unchanged.
        member.moves = member.moves.wrapping_add(1);
        self.observe(member, id, used);
    }

    /// Sets the path of a process to that which is known from another process
    /// of the same cgroup. Returns whether there was one.
    pub(crate) fn set_known_path(&self, member: &mut CgroupMembership) -> bool {
        let Some((path, container)) = member
            .row
            .filter(|_| member.path.is_none())
            .and_then(|row| self.table.path_of(row))
        else {
            return false;
        };
        (member.path, member.container) = (Some(path), container);
        true
    }

    /// Sets the path of a process that was read from `/proc/PID/cgroup`. `used`
    /// is its usage up to then, of which `counted` has been counted.
    pub(crate) fn set_path(
        &mut self,
        member: &mut CgroupMembership,
        path: Arc<str>,
        counted: &Usage,
        used: &Usage,
    ) {
        self.count(member, counted, used);
        let id = member.id.unwrap_or(0);
        member.is_stale = false;
        let row = if self.is_cgroup_of_processes(id) && self.is_path_of(id, &path) {
            self.table.of_id(id)
        } else if self.is_certain(id) {
            // It has been moved since the kernel reported the ID.
            return;
        } else {
            // It may be in a cgroup v2 that the kernel has not reported yet: one
            // cgroup has one row.
            match self.fs.id_of(&path) {
                Some(of_path) if id != 0 && self.is_cgroup_of_processes(of_path) => {
                    self.table.of_id(of_path)
                }
                _ => self.table.of_path(&path),
            }
        };
        self.table.enter_row(&mut member.row, row, used);
        self.table.set_path(row, &path);
        // A process that is counted in a common row has its own path all the
        // same.
        let known = self.table.path_of(row).filter(|(known, _)| *known == path);
        let (path, container) = known.unwrap_or_else(|| {
            let container = container_of(&path).map(Arc::new);
            (path, container)
        });
        (member.path, member.container) = (Some(path), container);
    }

    /// A process may have been moved unseen, because events were dropped.
    pub(crate) fn mark_stale(&self, member: &mut CgroupMembership) {
        member.is_stale |= !self.is_certain(member.id.unwrap_or(0));
    }

    /// Counts the usage of a process, of which `counted` has been counted.
    pub(crate) fn count(&mut self, member: &mut CgroupMembership, counted: &Usage, used: &Usage) {
        self.table.count_growth(&mut member.row, counted, used);
    }

    /// A process exited with this final usage, of which `counted` has been
    /// counted.
    pub(crate) fn end(&mut self, member: &CgroupMembership, counted: &Usage, used: &Usage) {
        self.table.leave_row(member.row, counted, used);
    }

    /// Moves the usage of removed cgroups to the row of these.
    pub(crate) fn sweep(&mut self) {
        let fs = &self.fs;
        self.table.sweep(|id, path| fs.exists(id, path));
    }

    pub(crate) fn rows(&mut self) -> Vec<Arc<Cgroup>> {
        self.table.rows()
    }

    /// Whether cgroup v2 IDs distinguish cgroups on this host: no hierarchy of
    /// version 1 is in use, or some processes are in other cgroups v2 than the
    /// root.
    pub(crate) const fn has_distinct_ids(&self) -> bool {
        self.has_distinct_ids
    }

    /// Whether the cgroup with this ID is known.
    pub(crate) fn has(&self, id: u64) -> bool {
        id == ROOT || self.table.has_id(id)
    }

    /// The path of the cgroup with this ID.
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
