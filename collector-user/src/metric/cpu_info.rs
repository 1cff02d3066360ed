use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Kind, MetricInfo, Reading, Tier,
    heap::{OwnedBytes, owned_bytes},
};

/// The CPUs, how they are packed, and the caches that they share.
///
/// Sources: `/sys/devices/system/cpu`, its `topology/`, `cache/` and
/// `cpufreq/`, `/sys/devices/system/node`, and `/proc/cpuinfo` for the names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInfo {
    /// The model of the first CPU that tells one; on arm64, whose kernel shows
    /// numbers only, the name of the core.
    pub model: Option<Arc<str>>,
    /// The vendor of the CPUs; on arm64 the implementer of the core.
    pub vendor: Option<Arc<str>>,
    /// The stepping of the first CPU that tells one: `1` on x86, `r0p4` on
    /// arm64, the revision on PowerPC and LoongArch.
    pub stepping: Option<Arc<str>>,
    /// The version of the microcode of the first CPU; x86 only.
    pub microcode: Option<Arc<str>>,
    /// What the first CPU can do: `flags` on x86, `Features` on arm64, the
    /// extensions in `isa` on RISC-V.
    pub flags: Vec<Arc<str>>,
    /// How many packages hold a CPU that is online.
    pub packages: Option<u32>,
    /// How many cores have a thread that is online.
    pub cores: Option<u32>,
    /// How many CPUs (threads of cores) are online.
    pub online: u32,
    /// Whether cores run more than one thread now.
    pub smt_active: Option<bool>,
    /// The CPUs that are there, offline ones included.
    pub cpus: Vec<Cpu>,
    /// The caches, each once, however many CPUs share it.
    pub caches: Vec<CpuCache>,
}

/// One CPU as the kernel counts them: one thread of one core.
///
/// The numbers of packages, dies, clusters and cores are the hardware's own:
/// they need not be dense, and those of cores begin anew in each package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Its number.
    pub cpu: u32,
    /// Whether it is in use.
    pub online: bool,
    /// The package (socket) that it is in.
    pub package_id: Option<u32>,
    /// The die in the package.
    pub die_id: Option<u32>,
    /// The cluster of cores in the die.
    pub cluster_id: Option<u32>,
    /// The core in the package.
    pub core_id: Option<u32>,
    /// The CPUs of the same core, itself included.
    pub core_cpus: Vec<u32>,
    /// The NUMA node whose memory is nearest.
    pub numa_node: Option<u32>,
    /// Its speed compared to the fastest of this machine, which has 1024;
    /// where the kernel knows it.
    pub capacity: Option<u32>,
    /// The lowest frequency.
    pub min_frequency_hz: Option<u64>,
    /// The highest frequency.
    pub max_frequency_hz: Option<u64>,
    /// Its model, if it is another than that of the first CPU.
    pub model: Option<Arc<str>>,
}

/// One cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuCache {
    /// Its level: 1 is the nearest to the core.
    pub level: u32,
    /// What it holds.
    pub kind: Option<CacheKind>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// The size of one line.
    pub line_bytes: Option<u32>,
    /// Associativity; `None` where it is not known, or the cache is fully
    /// associative.
    pub ways: Option<u32>,
    /// The CPUs that share it.
    pub cpus: Vec<u32>,
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheKind {
    /// Data.
    Data,
    /// Instructions.
    Instruction,
    /// Both.
    Unified,
}

impl OwnedBytes for Cpu {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; core_cpus, model)
    }
}

impl OwnedBytes for CpuCache {
    fn owned_bytes(&self) -> usize {
        self.cpus.owned_bytes()
    }
}

impl Reading for CpuInfo {
    const METRIC: MetricInfo = MetricInfo {
        name: "cpu_info",
        tier: Tier::Hardware,
        kind: Kind::State,
        help: "CPUs, packages, cores, clusters, NUMA nodes and caches",
    };

    fn heap_bytes(&self) -> usize {
        owned_bytes!(self; model, vendor, stepping, microcode, flags, cpus, caches)
    }
}
