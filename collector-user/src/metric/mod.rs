//! The data: what each metric is, and how a reading of it is delivered.
//!
//! One file a metric. Names of fields carry their unit. Counters are
//! cumulative; who wants a rate divides by the time between two samples. A
//! value that is not known is `None`, which JSON shows as `null`, and never a
//! zero.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

mod asleep;
mod catalog;
mod cgroup;
mod container;
mod cpu_info;
mod cpu_stats;
mod disk_info;
mod heap;
mod load_avg;
mod memory_info;
mod memory_stats;
mod missed;
mod network_info;
mod other_processes;
mod preemption;
mod process_events;
mod process_list;
mod process_stats;
mod sample;
mod sched_latency;
mod system_info;

pub use asleep::Asleep;
pub(crate) use asleep::Sleepers;
pub(crate) use catalog::nearest;
pub use catalog::{CATALOG, UnknownMetric, find};
pub use cgroup::{Cgroup, CgroupKind};
pub use container::{Container, ContainerRuntime};
pub use cpu_info::{CacheKind, Cpu, CpuCache, CpuInfo};
pub use cpu_stats::{CpuStats, CpuTimes};
pub use disk_info::{Disk, DiskInfo, DiskPath, Partition};
pub use load_avg::LoadAvg;
pub use memory_info::{HugePagePool, MemoryInfo, MemoryNode, NodeDistance};
pub use memory_stats::MemoryStats;
pub use missed::Missed;
pub use network_info::{InterfaceKind, NetworkInfo, NetworkInterface};
pub use other_processes::OtherProcesses;
pub use preemption::{Preemption, PreemptionKind};
pub use process_events::{ExecEvent, ExitEvent, ForkEvent, ProcessEvent};
pub(crate) use process_list::Difference;
pub use process_list::ProcessList;
pub(crate) use process_stats::sum;
pub use process_stats::{ExitedTotals, Process, ProcessState, ProcessStats};
pub(crate) use sample::serialize_rfc3339;
pub use sample::{AnySample, Sample, Status};
pub use sched_latency::{CpuLatency, LatencyBucket, LatencyHistogram, SchedLatency};
pub use system_info::{Hardware, OperatingSystem, SystemInfo};

/// The default pace of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Tier {
    /// Hardware: every five minutes.
    Hardware = 1,
    /// System: every ten seconds.
    System = 2,
    /// CPUs and processes: every second.
    Fast = 3,
}

impl Tier {
    /// The interval at which the metrics of this tier are collected when
    /// nobody asks for another.
    pub const fn default_interval(self) -> Duration {
        match self {
            Self::Hardware => Duration::from_mins(5),
            Self::System => Duration::from_secs(10),
            Self::Fast => Duration::from_secs(1),
        }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> Self {
        tier as Self
    }
}

impl TryFrom<u8> for Tier {
    type Error = String;

    fn try_from(tier: u8) -> Result<Self, Self::Error> {
        match tier {
            1 => Ok(Self::Hardware),
            2 => Ok(Self::System),
            3 => Ok(Self::Fast),
            other => Err(format!("there is no tier {other}: tiers are 1, 2 and 3")),
        }
    }
}

/// What a reading was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Accounted in the kernel by eBPF programs.
    Ebpf,
    /// Read from `/proc` and `/sys`.
    Procfs,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ebpf => "ebpf",
            Self::Procfs => "procfs",
        })
    }
}

/// How the readings of a metric follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Each reading is the whole state at one time; a newer one replaces an
    /// older one.
    State,
    /// Each reading is one event; none replaces another.
    Event,
}

/// What is known of a metric before any of its readings exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MetricInfo {
    /// The name by which it is subscribed to: `cpu_stats`.
    pub name: &'static str,
    /// Its default pace.
    pub tier: Tier,
    /// State or events.
    pub kind: Kind,
    /// One sentence for help texts and the reference.
    pub help: &'static str,
}

/// The typed data of one metric at one time.
///
/// A reading is immutable once it is published, and shared by all who
/// received it.
pub trait Reading: Any + fmt::Debug + Send + Sync + Serialize {
    /// The metric that this is a reading of.
    const METRIC: MetricInfo;

    /// The bytes that this reading owns on the heap. The bus adds the size of
    /// the reading itself, and holds the sum against the budget of its cache.
    fn heap_bytes(&self) -> usize;

    /// This reading in at most `max_bytes`, itself included, as far as that
    /// can be: its largest list is cut to the most important rows, and the
    /// others are summed up in one, so that every sum stays true. `None`, as
    /// unless a metric says otherwise, if no list can be cut.
    fn cut_to(&self, max_bytes: usize) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = max_bytes;
        None
    }
}

/// A [`Reading`] whose type is not known at compile time.
pub trait AnyReading: Any + fmt::Debug + Send + Sync + erased_serde::Serialize {
    /// The metric that this is a reading of.
    fn metric(&self) -> &'static MetricInfo;

    /// All bytes that this reading takes, itself included.
    fn total_bytes(&self) -> usize;

    /// As [`Reading::cut_to`].
    fn cut_to_any(&self, max_bytes: usize) -> Option<Arc<dyn AnyReading>>;
}

impl<R: Reading> AnyReading for R {
    fn metric(&self) -> &'static MetricInfo {
        &R::METRIC
    }

    fn total_bytes(&self) -> usize {
        size_of::<R>() + self.heap_bytes()
    }

    fn cut_to_any(&self, max_bytes: usize) -> Option<Arc<dyn AnyReading>> {
        let cut = self.cut_to(max_bytes)?;
        Some(Arc::new(cut))
    }
}

erased_serde::serialize_trait_object!(AnyReading);
