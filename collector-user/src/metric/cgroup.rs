use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Container,
    heap::{OwnedBytes, owned_bytes},
};

/// What the processes of one cgroup used while they were in it, those that
/// ended included.
///
/// A process counts where its leading thread is, and in no other cgroup: not
/// in those above. Of a process that was there before the collector, all that
/// it ever used counts where it was found. So the rows of all kinds add up to
/// the processes and `exited`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// What this row stands for.
    pub kind: CgroupKind,
    /// The kernel's number of the cgroup: the inode of its folder. `None` if
    /// it is not in the hierarchy of version 2, or that is not known.
    pub id: Option<u64>,
    /// Its path from the root of the hierarchy. `None` if the cgroup was gone
    /// before it could be looked up.
    pub path: Option<Arc<str>>,
    /// What the path tells of its container or service.
    pub container: Option<Arc<Container>>,
    /// How many live processes are in it.
    pub processes: u64,
    /// Their time on a CPU.
    pub cpu_ns: Option<u64>,
    /// The part of it in user mode.
    pub user_ns: Option<u64>,
    /// The part of it in kernel mode.
    pub system_ns: Option<u64>,
    /// Their wait for a CPU.
    pub runqueue_ns: Option<u64>,
    /// Their off-CPU time in sleep: the sum of the two kinds that follow. eBPF
    /// only.
    pub blocked_ns: Option<u64>,
    /// Their time in interruptible sleep. eBPF only.
    pub interruptible_sleep_ns: Option<u64>,
    /// Their time in uninterruptible sleep. eBPF only.
    pub uninterruptible_sleep_ns: Option<u64>,
    /// Their voluntary switches.
    pub voluntary_switches: Option<u64>,
    /// Their involuntary switches.
    pub involuntary_switches: Option<u64>,
    /// Their minor page faults.
    pub minor_faults: Option<u64>,
    /// Their major page faults.
    pub major_faults: Option<u64>,
}

/// What a row of cgroups stands for. There is at most one row of each kind
/// but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CgroupKind {
    /// One cgroup.
    #[default]
    Cgroup,
    /// All cgroups that came when there were as many rows as may be.
    Other,
    /// All cgroups that had rows and have been removed since.
    Removed,
    /// The processes whose cgroup is not known, or not yet: once it is, what
    /// they used counts there, so this row alone may shrink.
    Unknown,
}

impl OwnedBytes for Arc<Cgroup> {
    fn owned_bytes(&self) -> usize {
        size_of::<Cgroup>() + 2 * size_of::<usize>() + owned_bytes!(self; path, container)
    }
}
