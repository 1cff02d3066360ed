use super::RecordInfo;
use crate::metric::MetricInfo;

/// What is declared of a metric beside its name, tier and help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSchema {
    /// The metric.
    pub metric: &'static MetricInfo,
    /// What it is read from where no BPF map is: paths, with `*` for the parts
    /// that vary.
    pub sources: &'static [&'static str],
    /// The oldest kernel that has it; `None` for every supported one.
    pub minimum_kernel: Option<&'static str>,
    /// What the names of its Prometheus series begin with; `None` for `host_`
    /// and the name of the metric.
    pub prefix: Option<&'static str>,
    /// Its fields.
    pub record: &'static RecordInfo,
}
