use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Kind, MetricInfo, Reading, Tier,
    heap::{OwnedBytes, owned_bytes},
};

/// How much memory there is, and where.
///
/// Sources: `/proc/meminfo`, `/sys/devices/system/node`,
/// `/sys/kernel/mm/hugepages`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryInfo {
    /// Memory that the kernel can use.
    pub total_bytes: u64,
    /// Swap space.
    pub swap_total_bytes: Option<u64>,
    /// The NUMA nodes. A kernel without NUMA shows none.
    pub nodes: Vec<MemoryNode>,
    /// Whether the kernel moves memory to the node that uses it.
    pub numa_balancing: Option<bool>,
    /// The size of the huge pages that are used when none is named.
    pub default_huge_page_bytes: Option<u64>,
    /// The pools of huge pages, by size.
    pub huge_pages: Vec<HugePagePool>,
    /// When huge pages are used unasked: `always`, `madvise`, `never`.
    pub transparent_huge_pages: Option<Arc<str>>,
}

/// One NUMA node. It may have no memory, or no CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryNode {
    /// Its number.
    pub node: u32,
    /// Its memory.
    pub total_bytes: Option<u64>,
    /// Its CPUs.
    pub cpus: Vec<u32>,
    /// How far it is to each node that is online, itself included.
    pub distances: Vec<NodeDistance>,
    /// Its share of the pools of huge pages.
    pub huge_pages: Vec<HugePagePool>,
}

/// How far it is to a node. To itself it is 10; 20 takes twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDistance {
    /// The other node.
    pub node: u32,
    /// The distance.
    pub distance: u32,
}

/// The huge pages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugePagePool {
    /// The size of one page.
    pub page_bytes: u64,
    /// How many there are.
    pub pages: Option<u64>,
    /// How many of them are free.
    pub free_pages: Option<u64>,
}

impl OwnedBytes for NodeDistance {
    fn owned_bytes(&self) -> usize {
        0
    }
}

impl OwnedBytes for HugePagePool {
    fn owned_bytes(&self) -> usize {
        0
    }
}

impl OwnedBytes for MemoryNode {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; cpus, distances, huge_pages)
    }
}

impl Reading for MemoryInfo {
    const METRIC: MetricInfo = MetricInfo {
        name: "memory_info",
        tier: Tier::Hardware,
        kind: Kind::State,
        help: "Memory, swap, NUMA nodes with their distances, and huge pages",
    };

    fn heap_bytes(&self) -> usize {
        owned_bytes!(self; nodes, huge_pages, transparent_huge_pages)
    }
}
