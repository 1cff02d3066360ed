//! The collectors: each turns sources into the readings of one metric.

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

// The collectors of tiers 1 and 2: what stands here is on the agent's bus.
set::collectors! {
    pub use cpu_info::CpuInfoCollector;
    pub use disk_info::DiskInfoCollector;
    pub use memory_info::MemoryInfoCollector;
    pub use network_info::NetworkInfoCollector;
    pub use system_info::SystemInfoCollector;

    pub use load_avg::LoadAvgCollector;
    pub use memory_stats::MemoryStatsCollector;
}

pub use set::{CollectorSet, add_procfs};

use std::{borrow::Cow, time::Duration};

use crate::{
    metric::{Backend, Reading},
    source::{SourceError, Tick},
};

/// The default floor: the shortest interval at which a metric is collected.
pub const FLOOR: Duration = Duration::from_millis(100);

/// Turns sources into the reading of one metric.
///
/// The bus owns the collector and is the only one that calls it, one
/// collection at a time, on a thread that may block.
pub trait Collector: Send + 'static {
    /// The reading that it yields.
    type Reading: Reading;

    /// The origin of its data.
    fn backend(&self) -> Backend {
        Backend::Procfs
    }

    /// The sources, for documentation and status: paths, with `*` for the parts
    /// that vary, or BPF maps. Unless it says otherwise, those that its reading
    /// declares.
    fn sources(&self) -> &'static [&'static str] {
        Self::Reading::SCHEMA.map_or(&[], |schema| schema.sources)
    }

    /// The cost class of one collection.
    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    /// The interval floor: the shortest interval at which it is called.
    fn floor(&self) -> Duration {
        FLOOR
    }

    /// How long one collection may take before the bus declares it hung.
    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Takes one reading.
    ///
    /// # Errors
    ///
    /// When a source cannot be read without which there is no reading. Where
    /// only some fields need a source, they are left empty instead.
    fn collect(&mut self, tick: &Tick) -> Result<Self::Reading, CollectError>;
}

/// The cost of one collection, as an order of magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
#[non_exhaustive]
pub enum CollectError {
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// This host does not have what the metric needs, with the reason.
    #[error("{0}")]
    Unsupported(Cow<'static, str>),
    /// The collector failed, with an error of its own.
    #[error("{0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CollectError {
    /// An error of the collector's own type, or a message.
    ///
    /// ```
    /// use collector::collectors::CollectError;
    ///
    /// let error = CollectError::failed("the device does not respond");
    /// assert_eq!(error.to_string(), "the device does not respond");
    /// ```
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}
