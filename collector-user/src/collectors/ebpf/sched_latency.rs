use super::accounted;
use crate::{
    collectors::{CollectError, Collector},
    metric::{Backend, SchedLatency},
    source::{Tick, ebpf::Scheduler},
};

/// `sched_latency`: how long tasks waited for a CPU, ran, and slept, and who
/// took the CPU from whom.
///
/// Tier 3. Reads the map `CPUS` without a system call, and by two a pair those
/// pairs of cgroups of which one took a CPU from the other. Needs the rights of
/// [`Scheduler::load`]; there is no other source of this metric.
#[derive(Debug)]
pub struct SchedLatencyCollector {
    scheduler: Scheduler,
}

impl SchedLatencyCollector {
    /// A collector that reads the maps of these programs.
    pub const fn new(scheduler: Scheduler) -> Self {
        Self { scheduler }
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
        let accounted = accounted(&self.scheduler, tick)?;
        let latency = accounted.latency.clone();
        latency.ok_or_else(|| CollectError::failed("the tick does not collect it"))
    }
}
