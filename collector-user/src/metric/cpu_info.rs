use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Choice, Reading, Record};

/// CPUs, packages, cores, clusters, NUMA nodes and caches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Reading)]
#[metric(
    name = "cpu_info",
    tier = "hardware",
    prefix = "host_cpus",
    sources(
        "/proc/cpuinfo",
        "/sys/devices/system/cpu/cpu*/cache/index*/*",
        "/sys/devices/system/cpu/cpu*/cpu_capacity",
        "/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_*_freq",
        "/sys/devices/system/cpu/cpu*/topology/*",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/smt/active",
        "/sys/devices/system/node/node*/cpulist",
    )
)]
pub struct CpuInfo {
    /// Model of the first CPU that reports one; on arm64, whose kernel shows numbers only, the name
    /// of the core.
    #[field(1, label)]
    pub model: Option<Arc<str>>,
    /// Vendor of the CPUs; on arm64 the implementer of the core.
    #[field(2, label)]
    pub vendor: Option<Arc<str>>,
    /// Stepping of the first CPU that reports one: `1` on x86, `r0p4` on arm64, the revision on
    /// PowerPC and LoongArch.
    #[field(3, label)]
    pub stepping: Option<Arc<str>>,
    /// Microcode version of the first CPU; x86 only.
    #[field(4, label)]
    pub microcode: Option<Arc<str>>,
    /// Feature flags of the first CPU: `flags` on x86, `Features` on arm64, the extensions in `isa`
    /// on RISC-V.
    #[field(5)]
    pub flags: Vec<Arc<str>>,
    /// Packages (sockets) with an online CPU.
    #[field(6)]
    pub packages: Option<u32>,
    /// Cores with an online thread.
    #[field(7)]
    pub cores: Option<u32>,
    /// Online CPUs (hardware threads).
    #[field(8)]
    pub online: u32,
    /// Whether SMT is active.
    #[field(9)]
    pub smt_active: Option<bool>,
    /// The present CPUs, offline ones included.
    #[field(10)]
    pub cpus: Vec<Cpu>,
    /// The caches, each once, however many CPUs share it.
    #[field(11)]
    pub caches: Vec<CpuCache>,
}

/// One CPU: one hardware thread of one core.
///
/// The IDs of packages, dies, clusters and cores are those of the hardware: they need not be dense,
/// and core IDs are unique in their package only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_cpu")]
pub struct Cpu {
    /// Its number.
    #[field(1, key)]
    pub cpu: u32,
    /// Whether it is online.
    #[field(2)]
    pub online: bool,
    /// Its package (socket).
    #[field(3, label)]
    pub package_id: Option<u32>,
    /// Its die in the package.
    #[field(4, label)]
    pub die_id: Option<u32>,
    /// Its cluster in the die.
    #[field(5, label)]
    pub cluster_id: Option<u32>,
    /// Its core in the package.
    #[field(6, label)]
    pub core_id: Option<u32>,
    /// The hardware threads of its core, itself included (`core_cpus_list`).
    #[field(7)]
    pub core_cpus: Vec<u32>,
    /// Its NUMA node.
    #[field(8, label)]
    pub numa_node: Option<u32>,
    /// Capacity relative to the fastest CPU of the machine, which has 1024 (`cpu_capacity`);
    /// asymmetric systems only.
    #[field(9)]
    pub capacity: Option<u32>,
    /// Lowest frequency.
    #[field(10)]
    pub min_frequency_hz: Option<u64>,
    /// Highest frequency.
    #[field(11)]
    pub max_frequency_hz: Option<u64>,
    /// Its model, if that differs from the model of the first CPU.
    #[field(12, label)]
    pub model: Option<Arc<str>>,
}

/// One cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_cpu_cache")]
pub struct CpuCache {
    /// Level: L1 is nearest to the core.
    #[field(1, key)]
    pub level: u32,
    /// Type: data, instruction or unified.
    #[field(2, key)]
    pub kind: Option<CacheKind>,
    /// Size.
    #[field(3)]
    pub size_bytes: Option<u64>,
    /// Cache line size.
    #[field(4)]
    pub line_bytes: Option<u32>,
    /// Associativity; `None` where it is unknown, or the cache is fully associative.
    #[field(5)]
    pub ways: Option<u32>,
    /// The CPUs that share it.
    #[field(6, key)]
    pub cpus: Vec<u32>,
}

/// The type of a cache.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Choice,
)]
#[serde(rename_all = "snake_case")]
pub enum CacheKind {
    /// Data cache.
    #[value(1)]
    Data,
    /// Instruction cache.
    #[value(2)]
    Instruction,
    /// Unified cache.
    #[value(3)]
    Unified,
}
