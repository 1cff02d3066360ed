//! What turns sources into readings: one file a metric.

mod cpu_info;
mod disk_info;
pub mod ebpf;
mod load_avg;
mod memory_info;
mod memory_stats;
mod network_info;
pub mod procfs;
mod set;
mod system_info;

pub use cpu_info::CpuInfoCollector;
pub use disk_info::DiskInfoCollector;
pub use load_avg::LoadAvgCollector;
pub use memory_info::MemoryInfoCollector;
pub use memory_stats::MemoryStatsCollector;
pub use network_info::NetworkInfoCollector;
pub use set::{CollectorSet, add_procfs, add_tiers_1_and_2};
pub use system_info::SystemInfoCollector;

use std::{fmt, time::Duration};

use crate::{
    metric::{Backend, Reading},
    source::{SourceError, Tick},
};

/// The shortest interval at which any metric is collected, unless its collector
/// says otherwise.
pub const FLOOR: Duration = Duration::from_millis(100);

/// Turns sources into the reading of one metric.
///
/// The bus owns the collector and is the only one that calls it, one
/// collection at a time, on a thread that may block.
pub trait Collector: Send + 'static {
    /// What it yields.
    type Reading: Reading;

    /// What its readings are made from.
    fn backend(&self) -> Backend {
        Backend::Procfs
    }

    /// What it reads: paths, with `*` for the parts that vary, or names of
    /// BPF maps. For documentation and status.
    fn sources(&self) -> &'static [&'static str];

    /// What one collection costs.
    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    /// The shortest interval at which it may be called.
    fn floor(&self) -> Duration {
        FLOOR
    }

    /// How long one collection may take before the bus calls it hung.
    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Takes one reading.
    ///
    /// # Errors
    ///
    /// When a source without which there is no reading cannot be read. What
    /// only some fields need is left empty instead.
    fn collect(&mut self, tick: &Tick) -> Result<Self::Reading, CollectError>;
}

/// What one collection costs, as an order of magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// A few files: below a millisecond.
    Cheap,
    /// Grows with devices, or CPUs: milliseconds.
    Moderate,
    /// Grows with processes, sockets or cgroups: up to seconds.
    Heavy,
}

/// A collection failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is nothing to be read on this host.
    #[error("{0}")]
    Unsupported(String),
    /// Any other reason.
    #[error("{0}")]
    Other(String),
}

impl CollectError {
    /// An error that says only this.
    pub fn other(reason: impl fmt::Display) -> Self {
        Self::Other(reason.to_string())
    }
}
