use super::{Accountant, accounted};
use crate::{
    collectors::{CollectError, Collector, Cost},
    metric::{Backend, ProcessStats},
    source::Tick,
};

/// `process_stats`: the usage of each process, accounted in the kernel.
///
/// Tier 3. Reads the records of the threads that ran since the last tick, without
/// a system call; in the steady state it opens no file. A new process costs up to
/// three reads of `/proc`, once, and every ten seconds a pass over all tasks
/// updates memory, I/O and owners (about a microsecond per task). Needs the rights
/// of [`Accountant::load`]; without them the procfs collector of the same metric
/// reads every process at every tick.
#[derive(Debug)]
pub struct ProcessStatsCollector {
    accountant: Accountant,
}

impl ProcessStatsCollector {
    /// A collector of this accountant.
    pub const fn new(accountant: Accountant) -> Self {
        Self { accountant }
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
            "BPF map DIRTY",
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
        let accounted = accounted(&self.accountant, tick)?;
        match &accounted.processes {
            Some(Ok(processes)) => Ok(processes.clone()),
            Some(Err(error)) => Err(CollectError::failed(error.to_string())),
            None => Err(CollectError::failed(
                "the tick does not collect process_stats",
            )),
        }
    }
}
