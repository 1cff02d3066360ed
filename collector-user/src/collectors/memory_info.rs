use super::{CollectError, Collector, Cost};
use crate::{
    metric::{HugePagePool, MemoryInfo, MemoryNode, NodeDistance},
    source::{ParseError, Tick, procfs::meminfo, sysfs},
};

/// Reads [`MemoryInfo`] from `/proc/meminfo` and `/sys`. Tier 1.
///
/// Needs no privileges. Without `/sys` only the totals are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryInfoCollector;

const NODES: &str = "/sys/devices/system/node";

impl Collector for MemoryInfoCollector {
    type Reading = MemoryInfo;

    fn cost(&self) -> Cost {
        Cost::Moderate
    }

    fn collect(&mut self, tick: &Tick) -> Result<MemoryInfo, CollectError> {
        let meminfo = tick.parse("/proc/meminfo", meminfo::parse)?;
        let balancing = sysfs::number::<u32>(tick, "/proc/sys/kernel/numa_balancing");
        Ok(MemoryInfo {
            total_bytes: meminfo.total_bytes,
            swap_total_bytes: meminfo.swap_total_bytes,
            nodes: nodes(tick),
            // 2 enables memory tiering (`NUMA_BALANCING_MEMORY_TIERING`), which
            // balances too.
            numa_balancing: balancing.map(|mode| mode != 0),
            default_huge_page_bytes: meminfo.huge_page_size_bytes,
            huge_pages: huge_pages(tick, "/sys/kernel/mm/hugepages"),
            transparent_huge_pages: sysfs::parsed(
                tick,
                "/sys/kernel/mm/transparent_hugepage/enabled",
                sysfs::parse_selected,
            )
            .map(Into::into),
        })
    }
}

fn nodes(tick: &Tick) -> Vec<MemoryNode> {
    let Ok(entries) = tick.read_dir(NODES) else {
        return Vec::new();
    };
    let numbers = entries.numbered("node");
    let node = |&number: &u32| {
        let folder = format!("{NODES}/node{number}");
        // One column per online node, in order.
        let distances = tick
            .parse(&format!("{folder}/distance"), parse_distances)
            .unwrap_or_default();
        let pairs = numbers.iter().zip(distances);
        MemoryNode {
            node: number,
            total_bytes: sysfs::parsed(
                tick,
                &format!("{folder}/meminfo"),
                meminfo::parse_node_total_bytes,
            ),
            cpus: sysfs::cpu_list(tick, &format!("{folder}/cpulist")),
            distances: pairs
                .map(|(&node, distance)| NodeDistance { node, distance })
                .collect(),
            huge_pages: huge_pages(tick, &format!("{folder}/hugepages")),
        }
    };
    numbers.iter().map(node).collect()
}

fn parse_distances(bytes: &[u8]) -> Result<Vec<u32>, ParseError> {
    let text = String::from_utf8_lossy(bytes);
    text.split_ascii_whitespace()
        .map(|word| {
            word.parse().map_err(|_error: std::num::ParseIntError| {
                ParseError::invalid("a distance", word.as_bytes(), "a number in range")
            })
        })
        .collect()
}

fn huge_pages(tick: &Tick, folder: &str) -> Vec<HugePagePool> {
    let Ok(entries) = tick.read_dir(folder) else {
        return Vec::new();
    };
    let pool = |name: &str| {
        let kib: u64 = name
            .strip_prefix("hugepages-")?
            .strip_suffix("kB")?
            .parse()
            .ok()?;
        Some(HugePagePool {
            page_bytes: kib.checked_mul(1024)?,
            pages: sysfs::number(tick, &format!("{folder}/{name}/nr_hugepages")),
            free_pages: sysfs::number(tick, &format!("{folder}/{name}/free_hugepages")),
        })
    };
    let mut pools: Vec<HugePagePool> = entries.iter().filter_map(pool).collect();
    pools.sort_unstable_by_key(|pool| pool.page_bytes);
    pools
}
