use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Reading, Record};

/// Memory, swap, NUMA nodes with their distances, and huge pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Reading)]
#[metric(
    name = "memory_info",
    tier = "hardware",
    prefix = "host_memory_config",
    sources(
        "/proc/meminfo",
        "/proc/sys/kernel/numa_balancing",
        "/sys/devices/system/node/node*/cpulist",
        "/sys/devices/system/node/node*/distance",
        "/sys/devices/system/node/node*/hugepages/hugepages-*/*",
        "/sys/devices/system/node/node*/meminfo",
        "/sys/kernel/mm/hugepages/hugepages-*/*",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    )
)]
pub struct MemoryInfo {
    /// Usable memory (`MemTotal`).
    #[field(1)]
    pub total_bytes: u64,
    /// Swap space.
    #[field(2)]
    pub swap_total_bytes: Option<u64>,
    /// NUMA nodes; empty on a kernel without NUMA.
    #[field(3)]
    pub nodes: Vec<MemoryNode>,
    /// Whether automatic NUMA balancing is on (`kernel.numa_balancing`).
    #[field(4)]
    pub numa_balancing: Option<bool>,
    /// Default huge page size.
    #[field(5)]
    pub default_huge_page_bytes: Option<u64>,
    /// hugetlb pools, by page size.
    #[field(6)]
    pub huge_pages: Vec<HugePagePool>,
    /// Transparent huge page mode: `always`, `madvise` or `never`.
    #[field(7, label)]
    pub transparent_huge_pages: Option<Arc<str>>,
}

/// One NUMA node. A memory-only node has no CPU; a node may also have no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_numa_node")]
pub struct MemoryNode {
    /// Its number.
    #[field(1, key)]
    pub node: u32,
    /// Its memory.
    #[field(2)]
    pub total_bytes: Option<u64>,
    /// Its CPUs.
    #[field(3)]
    pub cpus: Vec<u32>,
    /// NUMA distance (SLIT) to each node that is online, itself included.
    #[field(4)]
    pub distances: Vec<NodeDistance>,
    /// Its share of the hugetlb pools.
    #[field(5)]
    #[series("host_numa_node_hugetlb")]
    pub huge_pages: Vec<HugePagePool>,
}

/// The NUMA distance to a node: 10 to itself; with 20, access takes twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_numa_node")]
pub struct NodeDistance {
    /// The other node.
    #[field(1, key)]
    pub node: u32,
    /// The distance.
    #[field(2)]
    pub distance: u32,
}

/// The hugetlb pool of one page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_hugetlb")]
pub struct HugePagePool {
    /// Page size.
    #[field(1, key)]
    pub page_bytes: u64,
    /// Pages in the pool.
    #[field(2)]
    pub pages: Option<u64>,
    /// Free pages in the pool.
    #[field(3)]
    pub free_pages: Option<u64>,
}
