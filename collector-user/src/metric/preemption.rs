use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::heap::{OwnedBytes, owned_bytes};

/// How often tasks of one cgroup lost their CPU to tasks of another.
///
/// Counted at each switch away from a task that could have gone on, as
/// `nonvoluntary_ctxt_switches` of `/proc/PID/status` counts them, that gave
/// the CPU to a task of another cgroup. A task that yields could have gone on
/// too. The kernel's own threads are in the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// What this row stands for.
    pub kind: PreemptionKind,
    /// The number of the cgroup that lost its CPU.
    pub victim_id: Option<u64>,
    /// Its path.
    pub victim: Option<Arc<str>>,
    /// The number of the cgroup that got it.
    pub preemptor_id: Option<u64>,
    /// Its path.
    pub preemptor: Option<Arc<str>>,
    /// How often.
    pub count: u64,
}

/// What a row of preemptions stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreemptionKind {
    /// One pair of cgroups.
    #[default]
    Pair,
    /// All pairs that came when there were as many rows as may be, or of which
    /// a cgroup has been removed.
    Other,
}

impl OwnedBytes for Preemption {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; victim, preemptor)
    }
}
