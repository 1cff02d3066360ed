use super::{Accountant, accounted};
use crate::{
    collectors::{CollectError, Collector},
    metric::{Backend, SchedLatency},
    source::Tick,
};

/// `sched_latency`: histograms of run-queue waits, slices and sleeps, and the
/// preemptions between cgroups.
///
/// Tier 3. Reads the map `CPUS` without a system call, and the preemptions by two
/// system calls per pair of cgroups. Needs the rights of [`Accountant::load`];
/// there is no other source of this metric.
#[derive(Debug)]
pub struct SchedLatencyCollector {
    accountant: Accountant,
}

impl SchedLatencyCollector {
    /// A collector of this accountant.
    pub const fn new(accountant: Accountant) -> Self {
        Self { accountant }
    }
}

impl Collector for SchedLatencyCollector {
    type Reading = SchedLatency;

    fn backend(&self) -> Backend {
        Backend::Ebpf
    }

    fn sources(&self) -> &'static [&'static str] {
        &["BPF map CPUS", "BPF map PREEMPTIONS", "/proc/*/cgroup"]
    }

    fn collect(&mut self, tick: &Tick) -> Result<SchedLatency, CollectError> {
        let accounted = accounted(&self.accountant, tick)?;
        let latency = accounted.latency.clone();
        latency.ok_or_else(|| CollectError::failed("the tick does not collect sched_latency"))
    }
}
