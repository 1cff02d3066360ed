use super::{
    Collector,
    procfs::{ProcessPoller, ProcfsCpuStats, ProcfsProcessStats},
};

/// Declares the collectors: exports each, and adds all of them to a set.
macro_rules! collectors {
    ($(pub use $module:ident::$collector:ident;)+) => {
        $(pub use $module::$collector;)+

        /// Adds the collectors of the metrics of tiers 1 and 2, which have one
        /// backend.
        #[must_use]
        pub fn add_tiers_1_and_2<S: CollectorSet>(set: S) -> S {
            set$(.add($collector::default()))+
        }
    };
}
pub(super) use collectors;

/// A set that collectors are added to one by one, since each has a type of its
/// own: a bus that is being built, or a list for the reference.
pub trait CollectorSet: Sized {
    /// Adds a collector.
    #[must_use]
    fn add<C: Collector>(self, collector: C) -> Self;
}

/// Adds the procfs backend of tier 3: `cpu_stats` and `process_stats`.
///
/// The poller, which yields `process_events`, shares the process table of
/// `process_stats`. This backend has no `sched_latency`.
#[must_use]
pub fn add_procfs<S: CollectorSet>(set: S) -> (S, ProcessPoller) {
    let processes = ProcfsProcessStats::new();
    let poller = processes.poller();
    (set.add(ProcfsCpuStats).add(processes), poller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collectors::add_tiers_1_and_2,
        metric::{CATALOG, Kind, Reading as _},
    };

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
        names.sort_unstable();
        let states = CATALOG.iter().filter(|metric| metric.kind == Kind::State);
        let mut states: Vec<_> = states.map(|metric| metric.name).collect();
        // That one is made by the eBPF backend only.
        states.retain(|name| *name != "sched_latency");
        states.sort_unstable();
        assert_eq!(names, states);
    }
}
