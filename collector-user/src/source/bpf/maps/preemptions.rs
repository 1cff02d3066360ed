use std::collections::BTreeMap;

use aya::maps::{Array, HashMap, MapData};
use collector_ebpf::PREEMPTIONS_MAX;

/// A [`collector_ebpf::Preemption`]: the cgroup v2 IDs of the preempted task and
/// of the task that was switched in.
type CgroupPair = [u64; 2];

/// The maps `PREEMPTIONS` and `OTHER_PREEMPTIONS`.
///
/// They are read by two system calls per pair: most hosts have some tens of
/// pairs, and they are read for `sched_latency` only.
pub(crate) struct PreemptionCounts {
    pub(in crate::source::bpf) pairs: HashMap<MapData, CgroupPair, u64>,
    pub(in crate::source::bpf) others: Array<MapData, u64>,
}

impl PreemptionCounts {
    /// The number of preemptions of each pair of cgroups.
    pub(crate) fn pairs(&self) -> BTreeMap<CgroupPair, u64> {
        // An iteration starts again if its current key is removed: it has to
        // end all the same.
        let entries = self.pairs.iter().take(2 * PREEMPTIONS_MAX);
        entries.filter_map(Result::ok).collect()
    }

    /// The number of preemptions between pairs beyond the size of the map.
    pub(crate) fn others(&self) -> u64 {
        self.others.get(&0, 0).unwrap_or(0)
    }

    /// Removes a pair, and returns whether that succeeded.
    pub(crate) fn remove(&mut self, pair: &CgroupPair) -> bool {
        self.pairs.remove(pair).is_ok()
    }
}
