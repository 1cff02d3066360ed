use super::{MetricRow, absent::Absent, backend::Accounting, builder::OwnCollector};
use crate::{
    bus::{Bus, BusBuilder},
    collectors::{
        Collector, CollectorSet, add_procfs, add_tiers_1_and_2,
        ebpf::{CpuStatsCollector, ProcessStatsCollector, SchedLatencyCollector},
        procfs::ProcessPoller,
    },
    metric::{Backend, MetricInfo, ProcessEvent, Reading, SchedLatency},
    source::Sources,
};

/// The collectors of a bus, as they are put on it.
pub(super) struct Plan {
    builder: BusBuilder,
    disabled: Vec<String>,
    /// Metrics whose collector is another's.
    replaced: Vec<&'static str>,
    rows: Vec<MetricRow>,
}

impl Plan {
    pub(super) fn new(sources: Sources, disabled: Vec<String>, own: Vec<OwnCollector>) -> Self {
        let mut plan = Self {
            builder: Bus::builder().sources(sources),
            disabled,
            replaced: Vec::new(),
            rows: Vec::new(),
        };
        for own in own {
            if plan.has(own.metric) {
                plan.rows.push(MetricRow {
                    metric: own.metric,
                    backend: Some(own.backend),
                    sources: own.sources,
                    absent: None,
                });
                plan.builder = (own.add)(plan.builder);
            }
            plan.replaced.push(own.metric.name);
        }
        plan
    }

    /// Adds every metric of the catalogue: each has a collector, a producer, or a
    /// reason why it has neither. With the procfs backend, also what finds its events.
    pub(super) fn with_all(self, accounting: &Accounting) -> (Self, Option<ProcessPoller>) {
        let plan = add_tiers_1_and_2(self);
        match accounting {
            Accounting::Ebpf(scheduler) => {
                let plan = plan
                    .add(CpuStatsCollector::new(scheduler.clone()))
                    .add(ProcessStatsCollector::new(scheduler.clone()))
                    .add(SchedLatencyCollector::new(scheduler.clone()))
                    .producer::<ProcessEvent>(Backend::Ebpf, &["ring buffer"]);
                (plan, None)
            }
            Accounting::Procfs(fallback) => {
                let (plan, poller) = add_procfs(plan);
                let plan = plan
                    .absent::<SchedLatency>(fallback.why_absent())
                    .producer::<ProcessEvent>(Backend::Procfs, &["/proc/*/stat"]);
                (plan, Some(poller))
            }
        }
    }

    /// What was planned: the bus to be built, and a row for each metric.
    pub(super) fn finish(self) -> (BusBuilder, Vec<MetricRow>) {
        let mut rows = self.rows;
        rows.sort_by_key(|row| (row.metric.tier, row.metric.name));
        (self.builder, rows)
    }

    /// Whether the metric is enabled, and no own collector replaces the agent's.
    pub(super) fn has(&self, metric: &MetricInfo) -> bool {
        !self.disabled.iter().any(|name| name == metric.name)
            && !self.replaced.contains(&metric.name)
    }

    fn absent<R: Reading>(mut self, reason: String) -> Self {
        if self.has(&R::METRIC) {
            self.rows.push(MetricRow {
                metric: &R::METRIC,
                backend: None,
                sources: &[],
                absent: Some(reason.clone()),
            });
            self.builder = self.builder.collector(Absent::<R>::because(reason));
        }
        self
    }

    fn producer<R: Reading>(mut self, backend: Backend, sources: &'static [&'static str]) -> Self {
        if self.has(&R::METRIC) {
            self.rows.push(MetricRow {
                metric: &R::METRIC,
                backend: Some(backend),
                sources,
                absent: None,
            });
            self.builder = self.builder.producer::<R>(backend);
        }
        self
    }
}

impl CollectorSet for Plan {
    fn add<C: Collector>(mut self, collector: C) -> Self {
        let metric = &C::Reading::METRIC;
        if self.has(metric) {
            self.rows.push(MetricRow {
                metric,
                backend: Some(collector.backend()),
                sources: collector.sources(),
                absent: None,
            });
            self.builder = self.builder.collector(collector);
        }
        self
    }
}
