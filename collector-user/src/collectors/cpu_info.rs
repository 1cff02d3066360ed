use std::collections::{BTreeMap, BTreeSet};

use super::{CollectError, Collector, Cost};
use crate::{
    metric::{CacheKind, Cpu, CpuCache, CpuInfo},
    source::{
        Tick,
        procfs::cpuinfo::{self, CpuNames},
        sysfs,
    },
};

/// Reads [`CpuInfo`] from `/sys/devices/system/cpu` and `/proc/cpuinfo`. Tier 1.
///
/// Needs no privileges. Nothing is derived from model names or CPU numbers, so
/// it is right for any number of packages, and for cores of different types.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuInfoCollector;

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";
/// Placeholders for an unknown ID: -1 where a driver prints it unsigned, and
/// `BAD_APICID`, from which x86 derives package and cluster IDs.
const UNKNOWN_IDS: [u32; 2] = [u32::MAX, u16::MAX as u32];

impl Collector for CpuInfoCollector {
    type Reading = CpuInfo;

    fn cost(&self) -> Cost {
        Cost::Moderate
    }

    fn collect(&mut self, tick: &Tick) -> Result<CpuInfo, CollectError> {
        let names = tick
            .read("/proc/cpuinfo")
            .map(|bytes| cpuinfo::parse(&bytes))
            .unwrap_or_default();
        let numbers = tick.read_dir(CPUS)?.numbered("cpu");
        if numbers.is_empty() {
            return Err(CollectError::Unsupported(
                format!("{CPUS} has no CPU").into(),
            ));
        }
        let online = online(tick, &numbers);
        let nodes = nodes_of_cpus(tick);
        let cpus: Vec<Cpu> = numbers
            .iter()
            .map(|&number| Cpu {
                numa_node: nodes.get(&number).copied(),
                model: other_model(&names, number),
                ..cpu(tick, number, online.contains(&number))
            })
            .collect();
        let in_use = || cpus.iter().filter(|cpu| cpu.online);
        let packages: BTreeSet<u32> = in_use().filter_map(|cpu| cpu.package_id).collect();
        let cores: BTreeSet<u32> = in_use()
            .filter_map(|cpu| cpu.core_cpus.first().copied())
            .collect();
        let known = |set: &BTreeSet<u32>| (!set.is_empty()).then_some(set.len() as u32);
        Ok(CpuInfo {
            model: names.cpus.iter().find_map(|cpu| cpu.model.clone()),
            vendor: names.cpus.iter().find_map(|cpu| cpu.vendor.clone()),
            stepping: names.cpus.iter().find_map(|cpu| cpu.stepping.clone()),
            microcode: names.cpus.iter().find_map(|cpu| cpu.microcode.clone()),
            flags: names.flags,
            packages: known(&packages),
            cores: known(&cores),
            online: in_use().count() as u32,
            smt_active: sysfs::flag(tick, &format!("{CPUS}/smt/active")),
            caches: caches(tick, &online),
            cpus,
        })
    }
}

/// The online CPUs; all, if the kernel has no CPU hotplug.
fn online(tick: &Tick, numbers: &[u32]) -> BTreeSet<u32> {
    let online = sysfs::cpu_list(tick, &format!("{CPUS}/online"));
    if online.is_empty() {
        numbers.iter().copied().collect()
    } else {
        online.into_iter().collect()
    }
}

fn cpu(tick: &Tick, number: u32, online: bool) -> Cpu {
    let folder = format!("{CPUS}/cpu{number}");
    let frequency_hz = |which: &str| {
        let path = format!("{folder}/cpufreq/cpuinfo_{which}_freq");
        sysfs::nonzero::<u64>(tick, &path)?.checked_mul(1000)
    };
    let mut cpu = Cpu {
        cpu: number,
        online,
        capacity: sysfs::nonzero(tick, &format!("{folder}/cpu_capacity")),
        min_frequency_hz: frequency_hz("min"),
        max_frequency_hz: frequency_hz("max"),
        ..Cpu::default()
    };
    // The topology of an offline CPU is removed by the kernel.
    if online {
        // An unknown ID is shown as -1.
        let id = |name: &str| {
            sysfs::number(tick, &format!("{folder}/topology/{name}"))
                .filter(|id| !UNKNOWN_IDS.contains(id))
        };
        cpu.package_id = id("physical_package_id");
        cpu.die_id = id("die_id");
        cpu.cluster_id = id("cluster_id");
        cpu.core_id = id("core_id");
        cpu.core_cpus = sysfs::cpu_list(tick, &format!("{folder}/topology/core_cpus_list"));
        if cpu.core_cpus.is_empty() {
            // Its name before Linux 5.3.
            let path = format!("{folder}/topology/thread_siblings_list");
            cpu.core_cpus = sysfs::cpu_list(tick, &path);
        }
    }
    cpu
}

fn nodes_of_cpus(tick: &Tick) -> BTreeMap<u32, u32> {
    let Ok(entries) = tick.read_dir(NODES) else {
        return BTreeMap::new();
    };
    let cpus = |node: u32| {
        let cpus = sysfs::cpu_list(tick, &format!("{NODES}/node{node}/cpulist"));
        cpus.into_iter().map(move |cpu| (cpu, node))
    };
    entries
        .numbered("node")
        .into_iter()
        .flat_map(cpus)
        .collect()
}

/// The model of a CPU, if it differs from that of the first.
fn other_model(names: &CpuNames, number: u32) -> Option<std::sync::Arc<str>> {
    let first = names.cpus.first()?;
    let cpu = names.cpus.iter().find(|cpu| cpu.cpu == number)?;
    cpu.model.clone().filter(|_| cpu.model != first.model)
}

/// The caches of all CPUs, each once.
fn caches(tick: &Tick, online: &BTreeSet<u32>) -> Vec<CpuCache> {
    let mut caches = BTreeMap::new();
    for cpu in online {
        let folder = format!("{CPUS}/cpu{cpu}/cache");
        let Ok(entries) = tick.read_dir(&folder) else {
            continue;
        };
        for index in entries.numbered("index") {
            let folder = format!("{folder}/index{index}");
            let attribute = |name: &str| format!("{folder}/{name}");
            let Some(level) = sysfs::number::<u32>(tick, &attribute("level")) else {
                continue;
            };
            let kind = sysfs::parsed(tick, &attribute("type"), cache_kind);
            let mut cpus = sysfs::cpu_list(tick, &attribute("shared_cpu_list"));
            if cpus.is_empty() {
                cpus.push(*cpu);
            }
            caches
                .entry((level, kind, cpus))
                .or_insert_with_key(|(level, kind, cpus)| CpuCache {
                    level: *level,
                    kind: *kind,
                    size_bytes: sysfs::parsed(tick, &attribute("size"), sysfs::parse_size_bytes)
                        .filter(|&bytes| bytes != 0),
                    line_bytes: sysfs::nonzero(tick, &attribute("coherency_line_size")),
                    ways: sysfs::nonzero(tick, &attribute("ways_of_associativity")),
                    cpus: cpus.clone(),
                });
        }
    }
    caches.into_values().collect()
}

fn cache_kind(bytes: &[u8]) -> Option<CacheKind> {
    Some(match bytes.trim_ascii() {
        b"Data" => CacheKind::Data,
        b"Instruction" => CacheKind::Instruction,
        b"Unified" => CacheKind::Unified,
        _ => return None,
    })
}
