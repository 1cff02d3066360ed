//! The data: the readings of each metric, and the samples that deliver them.
//!
//! One file per metric. The struct of a reading is the only place where its
//! metric is declared; everything else follows from its [`schema`]. Names of
//! fields carry their unit. Counters are cumulative: a rate is their growth
//! divided by [`Sample::since`]. An unknown value is `None` (`null` in JSON),
//! never zero.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use schema::{AnyRecord, MetricSchema};

mod asleep;
mod backend;
mod catalog;
mod cgroup;
mod container;
mod cpu_info;
mod cpu_stats;
mod disk_info;
mod handle;
mod load_avg;
mod memory_info;
mod memory_stats;
mod missed;
mod network_info;
mod origin;
mod other_processes;
mod preemption;
mod process_counters;
mod process_events;
#[cfg_attr(
    not(any(feature = "prometheus", test)),
    expect(dead_code, reason = "for the Prometheus exporter")
)]
mod process_list;
mod process_stats;
mod reason;
pub(crate) mod rfc3339;
mod sample;
mod sched_latency;
pub mod schema;
mod system_info;
mod untyped;
mod wire;

// The readings, by tier and name: what stands here is in the catalogue.
catalog::readings! {
    pub use cpu_info::CpuInfo;
    pub use disk_info::DiskInfo;
    pub use memory_info::MemoryInfo;
    pub use network_info::NetworkInfo;
    pub use system_info::SystemInfo;

    pub use load_avg::LoadAvg;
    pub use memory_stats::MemoryStats;

    pub use cpu_stats::CpuStats;
    pub use process_events::ProcessEvent;
    pub use process_stats::ProcessStats;
    pub use sched_latency::SchedLatency;
}

pub use asleep::Asleep;
pub(crate) use asleep::Sleepers;
pub use backend::{Backend, BackendName};
#[cfg(feature = "config")]
pub(crate) use catalog::nearest;
pub use catalog::{ReadingVisitor, UnknownMetric, find};
pub use cgroup::{Cgroup, CgroupKind};
pub use collector_derive::{Choice, Reading, Record, process_counters};
pub use container::{Container, ContainerRuntime};
pub use cpu_info::{CacheKind, Cpu, CpuCache};
pub use cpu_stats::CpuTimes;
pub use disk_info::{Disk, DiskPath, Partition};
pub use handle::Metric;
pub use memory_info::{HugePagePool, MemoryNode, NodeDistance};
pub use missed::Missed;
pub use network_info::{InterfaceKind, NetworkInterface};
pub use origin::Origin;
pub use other_processes::OtherProcesses;
pub use preemption::{Preemption, PreemptionKind};
pub use process_counters::{HasProcessCounters, ProcessCounters};
pub use process_events::{ExecEvent, ExitEvent, ForkEvent};
#[cfg(feature = "prometheus")]
pub(crate) use process_list::Difference;
pub use process_list::ProcessList;
pub(crate) use process_stats::sum;
pub use process_stats::{ExitedTotals, Process, ProcessState};
pub use reason::Reason;
pub use sample::{AnySample, Sample, Status};
pub use sched_latency::{CpuLatency, LatencyBucket, LatencyHistogram};
pub use system_info::{Hardware, OperatingSystem};
pub use untyped::UntypedReading;
pub use wire::Decoders;

/// The default pace of a metric: how fast its data changes.
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
    /// The default interval of the metrics of this tier.
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

/// How the readings of a metric follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Each reading is the whole state at one time, and replaces the one before.
    State,
    /// Each reading is one event, and replaces no other.
    Event,
}

/// The declaration of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MetricInfo {
    /// Its name, by which it is subscribed to: `cpu_stats`.
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
/// A reading is immutable once it is published, and shared by all its receivers.
/// Derived by [`derive@Reading`] from a struct:
///
/// ```
/// use collector::metric::{Reading, Tier};
/// use serde::{Deserialize, Serialize};
///
/// /// Entropy available to the kernel's random number generator.
/// #[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, Reading)]
/// #[metric(
///     name = "entropy",
///     tier = "system",
///     sources("/proc/sys/kernel/random/entropy_avail"),
/// )]
/// struct Entropy {
///     /// Available entropy, in bits.
///     #[field(1)]
///     available: u64,
/// }
///
/// assert_eq!(Entropy::METRIC.name, "entropy");
/// assert_eq!(Entropy::METRIC.tier, Tier::System);
/// ```
pub trait Reading: Any + fmt::Debug + Send + Sync + Serialize + DeserializeOwned {
    /// The declaration of its metric.
    const METRIC: MetricInfo;

    /// The declaration of its fields; `None` if it is written by hand: then it has
    /// no Prometheus series and no protobuf message.
    const SCHEMA: Option<&'static MetricSchema> = None;

    /// The bytes that this reading owns on the heap. The bus adds the size of the
    /// reading itself, and counts the sum against the budget of its cache.
    fn heap_bytes(&self) -> usize;

    /// Its fields, if they are declared.
    fn record(&self) -> Option<&dyn AnyRecord> {
        None
    }

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
    /// The metric that this is a reading of: see [`Reading::METRIC`].
    fn metric(&self) -> Metric;

    /// As [`Reading::SCHEMA`].
    fn schema(&self) -> Option<&'static MetricSchema>;

    /// All bytes that this reading takes, itself included.
    fn total_bytes(&self) -> usize;

    /// As [`Reading::record`].
    fn record(&self) -> Option<&dyn AnyRecord>;

    /// As [`Reading::cut_to`].
    fn cut_to_any(&self, max_bytes: usize) -> Option<Arc<dyn AnyReading>>;
}

impl<R: Reading> AnyReading for R {
    fn metric(&self) -> Metric {
        Metric::of::<R>()
    }

    fn schema(&self) -> Option<&'static MetricSchema> {
        R::SCHEMA
    }

    fn total_bytes(&self) -> usize {
        size_of::<R>() + self.heap_bytes()
    }

    fn record(&self) -> Option<&dyn AnyRecord> {
        Reading::record(self)
    }

    fn cut_to_any(&self, max_bytes: usize) -> Option<Arc<dyn AnyReading>> {
        let cut = self.cut_to(max_bytes)?;
        Some(Arc::new(cut))
    }
}

erased_serde::serialize_trait_object!(AnyReading);
