use std::collections::BTreeMap;

use super::cgroup::Cgroups;
use crate::metric::{Preemption, PreemptionKind};

/// The cgroup v2 IDs of a preempted task and of the task that was switched in.
pub(crate) type CgroupPair = [u64; 2];

/// Preemptions between cgroups: the counts of the kernel side, which is kept
/// from filling up with removed cgroups.
#[derive(Debug, Default)]
pub(crate) struct Preemptions {
    /// The counts of pairs that were removed from the kernel side.
    removed: u64,
    /// The pairs with an unknown cgroup at the last sweep, and their counts.
    unknown: BTreeMap<CgroupPair, u64>,
}

impl Preemptions {
    /// One row per pair, and one for the others. `uncounted` is the number of
    /// preemptions between pairs that have no count of their own.
    pub(crate) fn rows(
        &self,
        counts: &BTreeMap<CgroupPair, u64>,
        uncounted: u64,
        cgroups: &Cgroups,
    ) -> Vec<Preemption> {
        // 0 if the kernel did not report an ID.
        let known = |id: u64| (id != 0).then_some(id);
        let pairs = counts.iter();
        let mut rows: Vec<Preemption> = pairs
            .map(|(&[victim, preemptor], &count)| Preemption {
                kind: PreemptionKind::Pair,
                victim_id: known(victim),
                victim: cgroups.path_of(victim),
                preemptor_id: known(preemptor),
                preemptor: cgroups.path_of(preemptor),
                count,
            })
            .collect();
        let other = self.removed + uncounted;
        if other > 0 {
            rows.push(Preemption {
                kind: PreemptionKind::Other,
                count: other,
                ..Preemption::default()
            });
        }
        rows
    }

    /// Removes the pairs of removed cgroups by `remove`, which returns whether
    /// it succeeded.
    ///
    /// These are the pairs with an unknown cgroup whose count has not changed
    /// since the last sweep: so nothing is counted while they are removed.
    pub(crate) fn sweep(
        &mut self,
        mut counts: BTreeMap<CgroupPair, u64>,
        cgroups: &Cgroups,
        mut remove: impl FnMut(&CgroupPair) -> bool,
    ) {
        counts.retain(|[victim, preemptor], _| !(cgroups.has(*victim) && cgroups.has(*preemptor)));
        for (pair, count) in &counts {
            if self.unknown.get(pair) == Some(count) && remove(pair) {
                self.removed += count;
            }
        }
        self.unknown = counts;
    }
}
