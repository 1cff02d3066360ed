use super::accounted;
use crate::{
    collectors::{CollectError, Collector, Cost},
    metric::{Backend, ProcessStats},
    source::{Tick, ebpf::Scheduler},
};

/// `process_stats`: what each process used, accounted in the kernel.
///
/// Tier 3. Reads the records of the threads that ran since the last tick,
/// without a system call; in the steady state it opens no file. A new process
/// costs up to three reads of `/proc` once, and every ten seconds one pass
/// over all tasks brings memory, I/O and owners (about a microsecond a task).
/// Needs the rights of [`Scheduler::load`]; without them the procfs collector
/// of the same metric reads every process at every tick.
#[derive(Debug)]
pub struct ProcessStatsCollector {
    scheduler: Scheduler,
}

impl ProcessStatsCollector {
    /// A collector that reads the maps of these programs.
    pub const fn new(scheduler: Scheduler) -> Self {
        Self { scheduler }
    }
}

impl Collector for ProcessStatsCollector {
    type Reading = ProcessStats;

    fn backend(&self) -> Backend {
        Backend::Ebpf
    }

    fn sources(&self) -> &'static [&'static str] {
        &[
            "BPF map THREADS",
            "BPF map TOUCHED",
            "BPF map CPUS",
            "BPF iter/task",
            "/proc/*/cgroup",
            "/proc/*/cmdline",
            "/proc/*/stat",
        ]
    }

    fn cost(&self) -> Cost {
        Cost::Moderate
    }

    fn collect(&mut self, tick: &Tick) -> Result<ProcessStats, CollectError> {
        let accounted = accounted(&self.scheduler, tick)?;
        match &accounted.processes {
            Some(Ok(processes)) => Ok(processes.clone()),
            Some(Err(reason)) => Err(CollectError::failed(reason.clone())),
            None => Err(CollectError::failed("the tick does not collect them")),
        }
    }
}
