use std::{collections::BTreeMap, sync::Arc};

use aya::maps::{Array, HashMap, MapData};
use collector_ebpf::PREEMPTIONS_MAX;

use super::cgroups::Cgroups;
use crate::metric::{Preemption, PreemptionKind};

/// The kernel's numbers of the cgroup that lost a CPU, and of the one that got
/// it: a [`collector_ebpf::Preemption`] as the map has it.
type Pair = [u64; 2];

/// Who lost a CPU to whom: the maps `PREEMPTIONS` and `OTHER_PREEMPTIONS`.
///
/// They are read by system calls, two a pair: there are some tens of pairs on
/// most hosts, and nobody reads them but who asks for the metric.
pub(super) struct Preemptions {
    pairs: HashMap<MapData, Pair, u64>,
    beyond: Array<MapData, u64>,
    /// What was counted of pairs that are not in the map any more.
    removed: u64,
    /// The pairs of which a cgroup was not known at the last sweep.
    unknown: BTreeMap<Pair, u64>,
}

impl Preemptions {
    pub(super) const fn new(
        pairs: HashMap<MapData, Pair, u64>,
        beyond: Array<MapData, u64>,
    ) -> Self {
        Self {
            pairs,
            beyond,
            removed: 0,
            unknown: BTreeMap::new(),
        }
    }

    fn counts(&self) -> BTreeMap<Pair, u64> {
        // A walk begins anew if its place is removed: it must end all the same.
        let entries = self.pairs.iter().take(2 * PREEMPTIONS_MAX);
        entries.filter_map(Result::ok).collect()
    }

    /// A row for each pair, and one for the rest.
    pub(super) fn rows(&self, cgroups: &Cgroups) -> Vec<Preemption> {
        let path = |id| -> Option<Arc<str>> { cgroups.path_of(id) };
        // 0 stands for a number that the kernel did not tell.
        let known = |id: u64| (id != 0).then_some(id);
        let pairs = self.counts().into_iter();
        let mut rows: Vec<Preemption> = pairs
            .map(|([victim, preemptor], count)| Preemption {
                kind: PreemptionKind::Pair,
                victim_id: known(victim),
                victim: path(victim),
                preemptor_id: known(preemptor),
                preemptor: path(preemptor),
                count,
            })
            .collect();
        let other = self.removed + self.beyond.get(&0, 0).unwrap_or(0);
        if other > 0 {
            rows.push(Preemption {
                kind: PreemptionKind::Other,
                count: other,
                ..Preemption::default()
            });
        }
        rows
    }

    /// Makes room: removes the pairs of cgroups that are gone.
    ///
    /// Those are the pairs of which a cgroup is not known, and that have not
    /// changed since the last sweep; so nothing is counted while they are
    /// removed.
    pub(super) fn sweep(&mut self, cgroups: &Cgroups) {
        let mut unknown = self.counts();
        unknown.retain(|[victim, preemptor], _| !(cgroups.has(*victim) && cgroups.has(*preemptor)));
        for (pair, count) in &unknown {
            if self.unknown.get(pair) == Some(count) && self.pairs.remove(pair).is_ok() {
                self.removed += count;
            }
        }
        self.unknown = unknown;
    }
}
