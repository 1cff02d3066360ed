use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Choice, Container, Record, process_counters};

/// What the processes of one cgroup used while they were in it, exited ones included.
///
/// A process counts in the cgroup of its thread-group leader only, not in its ancestors. For a
/// process that ran before the collector started, all that it ever used counts in the cgroup where
/// it was found. So the rows of all kinds add up to the processes and `exited`.
#[process_counters]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct Cgroup {
    /// What this row stands for.
    #[field(14, key)]
    pub kind: CgroupKind,
    /// cgroup v2 ID: the inode number of its directory (kernfs). `None` outside of the v2
    /// hierarchy, or where it is unknown.
    #[field(15, key)]
    pub id: Option<u64>,
    /// Path from the root of the hierarchy. `None` if the cgroup was removed before its path could
    /// be read.
    #[field(16, key)]
    pub path: Option<Arc<str>>,
    /// Its container or service, from the path.
    #[field(17)]
    pub container: Option<Arc<Container>>,
    /// Live processes in it.
    #[field(18)]
    pub processes: u64,
}

/// What a row of cgroups stands for. There is at most one row of each kind but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
pub enum CgroupKind {
    /// One cgroup.
    #[default]
    #[value(1)]
    Cgroup,
    /// All cgroups beyond the limit of rows.
    #[value(2)]
    Other,
    /// All cgroups that had a row and have been removed.
    #[value(3)]
    Removed,
    /// Processes whose cgroup is unknown, or not known yet: once it is known, their use counts
    /// there, so this row alone may shrink.
    #[value(4)]
    Unknown,
}
