use serde::Serialize;

use super::{Fallback, backend::Accounting};
use crate::{
    metric::{Backend, MetricInfo},
    source::bpf::LoadReport,
};

/// What an agent runs with: what is attached, what fell back, and why.
#[derive(Clone, Debug, Serialize)]
pub struct StartReport {
    /// What accounts CPUs and processes.
    pub backend: Backend,
    /// Why it is not eBPF, if it was tried.
    pub fallback: Option<String>,
    /// The programs; `None` with the procfs backend.
    pub ebpf: Option<LoadReport>,
    /// The metrics, by tier and name.
    pub metrics: Vec<MetricRow>,
}

/// One metric of the agent.
#[derive(Clone, Debug, Serialize)]
pub struct MetricRow {
    /// The metric.
    #[serde(flatten)]
    pub metric: &'static MetricInfo,
    /// What its readings are made from; `None` if it has none.
    pub backend: Option<Backend>,
    /// What is read for it.
    pub sources: &'static [&'static str],
    /// Why it has no readings.
    pub absent: Option<String>,
}

impl StartReport {
    pub(super) fn new(accounting: &Accounting, metrics: Vec<MetricRow>) -> Self {
        let (backend, fallback, ebpf) = match accounting {
            Accounting::Ebpf(scheduler) => (Backend::Ebpf, None, Some(scheduler.report().clone())),
            Accounting::Procfs(Fallback::Chosen | Fallback::Tree) => (Backend::Procfs, None, None),
            Accounting::Procfs(Fallback::NoEbpf(error)) => {
                (Backend::Procfs, Some(error.to_string()), None)
            }
        };
        Self {
            backend,
            fallback,
            ebpf,
            metrics,
        }
    }
}
