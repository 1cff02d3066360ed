use std::sync::Arc;

use super::RowId;
use crate::metric::Container;

/// The cgroup of a process: kept with its account, changed by
/// [`Cgroups`](super::Cgroups).
#[derive(Debug, Default)]
pub(crate) struct CgroupMembership {
    /// The cgroup v2 ID, if the kernel reported it.
    pub(super) id: Option<u64>,
    pub(crate) path: Option<Arc<str>>,
    pub(crate) container: Option<Arc<Container>>,
    /// Whether the process may have been moved since the path was read.
    pub(super) is_stale: bool,
    /// The number of times that it was found to have been moved.
    pub(super) moves: u32,
    /// The row in which it is counted.
    pub(super) row: Option<RowId>,
}

/// The cgroup that a child inherits.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParentCgroup {
    pub(super) row: Option<RowId>,
    pub(super) path: Option<Arc<str>>,
    pub(super) container: Option<Arc<Container>>,
}

impl CgroupMembership {
    /// Whether the path is to be read from `/proc`.
    pub(crate) const fn needs_path(&self) -> bool {
        self.path.is_none() || self.is_stale
    }

    /// The number of times that the process was found to have been moved: a path
    /// that was read before the last one is outdated.
    pub(crate) const fn moves(&self) -> u32 {
        self.moves
    }

    /// The cgroup of a child, unless the kernel reports another one.
    pub(crate) fn for_child(&self) -> ParentCgroup {
        ParentCgroup {
            row: self.row,
            path: self.path.clone(),
            container: self.container.clone(),
        }
    }
}
