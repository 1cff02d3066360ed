use crate::{
    collector::{CollectError, Collector},
    metric::{Backend, SchedLatency},
    source::{Tick, ebpf::Scheduler},
};

/// `sched_latency`: how long tasks waited for a CPU, ran, and slept.
///
/// Tier 3. Reads the map `CPUS` without a system call. Needs the rights of
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
        &["BPF map CPUS"]
    }

    fn collect(&mut self, _tick: &Tick) -> Result<SchedLatency, CollectError> {
        Ok(self.scheduler.sched_latency())
    }
}
