use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Choice, Record};

/// Preemptions of the tasks of one cgroup by tasks of another.
///
/// Counted at each context switch away from a task that was still runnable
/// (`nonvoluntary_ctxt_switches` in `/proc/PID/status`) to a task of another cgroup.
/// `sched_yield(2)` counts too. Kernel threads are in the root cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
pub struct Preemption {
    /// What this row stands for.
    #[field(1, key)]
    pub kind: PreemptionKind,
    /// cgroup v2 ID of the preempted cgroup.
    #[field(2, key)]
    pub victim_id: Option<u64>,
    /// Its path.
    #[field(3, key)]
    pub victim: Option<Arc<str>>,
    /// cgroup v2 ID of the preempting cgroup.
    #[field(4, key)]
    pub preemptor_id: Option<u64>,
    /// Its path.
    #[field(5, key)]
    pub preemptor: Option<Arc<str>>,
    /// Number of preemptions.
    #[field(6, counter)]
    pub count: u64,
}

/// What a row of preemptions stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
pub enum PreemptionKind {
    /// One pair of cgroups.
    #[default]
    #[value(1)]
    Pair,
    /// All pairs beyond the limit of rows, and those of removed cgroups.
    #[value(2)]
    Other,
}
