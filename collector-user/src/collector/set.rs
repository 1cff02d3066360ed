use super::{
    Collector, CpuInfoCollector, DiskInfoCollector, LoadAvgCollector, MemoryInfoCollector,
    MemoryStatsCollector, NetworkInfoCollector, SystemInfoCollector,
    procfs::{ProcessPoller, ProcfsCpuStats, ProcfsProcessStats},
};

/// What collectors can be added to: a bus that is being built, or a list for
/// the reference.
///
/// Each collector has a type of its own, so a set is given them one by one.
pub trait CollectorSet: Sized {
    /// Adds a collector.
    #[must_use]
    fn add<C: Collector>(self, collector: C) -> Self;
}

/// Adds the collectors of the metrics of tiers 1 and 2, which have one backend.
#[must_use]
pub fn add_tiers_1_and_2<S: CollectorSet>(set: S) -> S {
    set.add(SystemInfoCollector)
        .add(CpuInfoCollector)
        .add(MemoryInfoCollector)
        .add(DiskInfoCollector)
        .add(NetworkInfoCollector)
        .add(MemoryStatsCollector)
        .add(LoadAvgCollector)
}

/// Adds the procfs backend of tier 3: `cpu_stats` and `process_stats`.
///
/// The poller, for who publishes `process_events`, shares what `process_stats`
/// sees. There is no `sched_latency` in this backend.
#[must_use]
pub fn add_procfs<S: CollectorSet>(set: S) -> (S, ProcessPoller) {
    let processes = ProcfsProcessStats::new();
    let poller = processes.poller();
    (set.add(ProcfsCpuStats).add(processes), poller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Reading as _;

    #[derive(Default)]
    struct Names(Vec<&'static str>);

    impl CollectorSet for Names {
        fn add<C: Collector>(mut self, _collector: C) -> Self {
            self.0.push(C::Reading::METRIC.name);
            self
        }
    }

    #[test]
    fn each_metric_is_collected_by_one_collector() {
        let set = add_tiers_1_and_2(Names::default());
        let (Names(mut names), _poller) = add_procfs(set);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(count, 9);
    }
}
