//! Readings of the captured trees.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

mod trees;

use collector::{
    collectors::{
        Collector as _, CpuInfoCollector, DiskInfoCollector, MemoryInfoCollector,
        NetworkInfoCollector, SystemInfoCollector,
        procfs::{ProcfsCpuStats, ProcfsProcessStats},
    },
    metric::{Disk, DiskInfo, InterfaceKind, NetworkInfo, NetworkInterface, ProcessState},
    source::{Sources, Tick},
};
use serde_json::Value;

/// A tick that reads a tree.
fn tick(tree: &str) -> Tick {
    Sources::rooted(trees::path(tree)).tick()
}

/// Every reading of a tree, without unknown fields.
fn known(tree: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, value| !value.is_null());
                fields.values_mut().for_each(strip);
            }
            Value::Array(rows) => rows.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let readings = trees::collect_all(&tick(tree));
    let shown = readings.into_iter().map(|(name, reading)| {
        let mut reading = reading.unwrap();
        strip(&mut reading);
        format!("{name}: {reading:#}\n")
    });
    shown.collect()
}

#[test]
fn a_vm_reads_as_before() {
    insta::assert_snapshot!("vm", known("vm"));
}

#[test]
fn a_numa_server_reads_as_before() {
    insta::assert_snapshot!("numa-server", known("numa-server"));
}

#[test]
fn an_arm64_board_reads_as_before() {
    insta::assert_snapshot!("arm64-board", known("arm64-board"));
}

#[test]
fn each_file_of_a_tree_is_opened_once_for_all_metrics() {
    for tree in trees::TREES {
        let tick = tick(tree);
        trees::collect_all(&tick);
        // Files of single processes have one reader, and are not shared.
        let opens = || -> u64 {
            let files = tick.sources().file_stats();
            let shared = files
                .iter()
                .filter(|file| !file.path.starts_with("/proc/*"));
            shared.map(|file| file.cost.opens).sum()
        };
        let once = opens();
        assert!(tick.sources().stats().reads_saved > 0, "{tree}");
        for file in tick.sources().file_stats() {
            if !file.path.starts_with("/proc/*") {
                // A path may be read as a directory and as a link.
                assert!(file.cost.opens <= 2, "{tree}: {file:?}");
            }
        }
        let again = trees::collect_all(&tick);
        assert!(again.values().all(Result::is_ok));
        assert_eq!(opens(), once, "{tree}");
    }
}

#[test]
fn the_topology_does_not_depend_on_the_order_of_cpus() {
    let cpus = CpuInfoCollector.collect(&tick("numa-server")).unwrap();
    assert_eq!(
        (cpus.packages, cpus.cores, cpus.online),
        (Some(2), Some(8), 15)
    );
    assert_eq!(cpus.cpus.len(), 16);
    assert_eq!(cpus.smt_active, Some(true));
    let cpu = |number: usize| &cpus.cpus[number];
    assert_eq!(cpu(12).package_id, Some(1));
    assert_eq!(cpu(12).numa_node, Some(1));
    assert_eq!(cpu(12).core_cpus, [4, 12]);
    assert_eq!(cpu(3).core_id, Some(4));
    assert_eq!(cpu(0).cluster_id, None);
    assert!(!cpu(15).online);
    assert_eq!(cpu(15).package_id, None);
    assert_eq!(cpu(0).max_frequency_hz, Some(3_900_000_000));
    let shared: Vec<_> = cpus
        .caches
        .iter()
        .filter(|cache| cache.level == 3)
        .collect();
    assert_eq!(shared.len(), 2);
    assert_eq!(shared[1].cpus, [4, 5, 6, 7, 12, 13, 14]);
    assert_eq!(shared[1].size_bytes, Some(61440 * 1024));
    // Three caches for each of eight cores, and the shared ones.
    assert_eq!(cpus.caches.len(), 3 * 8 + 2);
}

#[test]
fn different_cores_are_distinguished() {
    let cpus = CpuInfoCollector.collect(&tick("arm64-board")).unwrap();
    assert_eq!(
        (cpus.packages, cpus.cores, cpus.online),
        (Some(1), Some(6), 6)
    );
    assert_eq!(cpus.vendor.as_deref(), Some("Arm"));
    assert_eq!(cpus.model.as_deref(), Some("Cortex-A53"));
    assert_eq!(cpus.stepping.as_deref(), Some("r0p4"));
    assert_eq!(cpus.cpus[3].model, None);
    assert_eq!(cpus.cpus[4].model.as_deref(), Some("Cortex-A72"));
    assert_eq!(
        (cpus.cpus[0].capacity, cpus.cpus[5].capacity),
        (Some(485), Some(1024))
    );
    assert_eq!(
        (cpus.cpus[0].cluster_id, cpus.cpus[5].cluster_id),
        (Some(0), Some(1))
    );
    assert_eq!(cpus.cpus[0].die_id, None);
    assert_eq!(cpus.cpus[0].numa_node, None);
    let sizes_unknown = cpus
        .caches
        .iter()
        .filter(|cache| cache.size_bytes.is_none());
    assert_eq!(sizes_unknown.count(), 2);
}

#[test]
fn a_node_without_cpus_has_memory_and_distances() {
    let memory = MemoryInfoCollector.collect(&tick("numa-server")).unwrap();
    assert_eq!(memory.total_bytes, 320 << 30);
    assert_eq!(memory.nodes.len(), 3);
    assert!(memory.nodes[2].cpus.is_empty());
    assert_eq!(memory.nodes[2].total_bytes, Some(64 << 30));
    let distances: Vec<u32> = memory.nodes[1]
        .distances
        .iter()
        .map(|d| d.distance)
        .collect();
    assert_eq!(distances, [21, 10, 24]);
    assert_eq!(memory.nodes[0].huge_pages[0].pages, Some(1024));
    assert_eq!(memory.huge_pages[1].page_bytes, 1 << 30);
    assert_eq!(memory.transparent_huge_pages.as_deref(), Some("madvise"));
    assert_eq!(memory.numa_balancing, Some(true));

    let board = MemoryInfoCollector.collect(&tick("arm64-board")).unwrap();
    assert!(board.nodes.is_empty());
    assert_eq!(board.swap_total_bytes, None);
}

fn disk<'a>(disks: &'a DiskInfo, name: &str) -> &'a Disk {
    let found = disks.disks.iter().find(|disk| *disk.name == *name);
    found.unwrap_or_else(|| panic!("no {name} in {disks:?}"))
}

#[test]
fn disks_have_their_lower_devices() {
    let disks = DiskInfoCollector.collect(&tick("numa-server")).unwrap();
    let names: Vec<&str> = disks.disks.iter().map(|disk| &*disk.name).collect();
    // Without `loop1`, which has no backing file, and `ram0`, which is unused.
    assert_eq!(
        names,
        [
            "dm-0", "loop0", "md0", "nvme0n1", "nvme1n1", "sda", "sdb", "sr0"
        ]
    );
    let nvme = disk(&disks, "nvme0n1");
    assert_eq!(nvme.model.as_deref(), Some("Example NVMe 3840G"));
    assert_eq!(nvme.serial.as_deref(), Some("SN0000"));
    assert_eq!(nvme.driver.as_deref(), Some("nvme"));
    assert_eq!(nvme.pci_address.as_deref(), Some("0000:17:00.0"));
    assert_eq!(nvme.numa_node, Some(0));
    assert_eq!(nvme.size_bytes, Some(7_501_476_528 * 512));
    assert_eq!(nvme.logical_block_bytes, Some(4096));
    let numbers: Vec<u32> = nvme.partitions.iter().map(|part| part.number).collect();
    assert_eq!(numbers, [1, 2, 10]);
    assert_eq!(nvme.partitions[0].label.as_deref(), Some("EFI System"));
    assert_eq!(nvme.partitions[0].start_bytes, Some(1 << 20));

    let sda = disk(&disks, "sda");
    assert_eq!(sda.serial.as_deref(), Some("SAS0000a"));
    assert_eq!(sda.vendor.as_deref(), Some("EXAMPLE"));
    assert_eq!(sda.scheduler.as_deref(), Some("mq-deadline"));
    assert_eq!(sda.rotational, Some(true));
    assert_eq!(sda.upper, ["md0".into()]);
    let md = disk(&disks, "md0");
    assert_eq!(md.raid_level.as_deref(), Some("raid1"));
    assert_eq!(md.lower, ["sda1".into(), "sdb1".into()]);
    assert_eq!(md.upper, ["dm-0".into()]);
    assert_eq!(md.pci_address, None);
    assert_eq!(
        disk(&disks, "dm-0").mapper_name.as_deref(),
        Some("vg0-root")
    );
    assert_eq!(disk(&disks, "sr0").removable, Some(true));
    assert_eq!(disk(&disks, "sr0").size_bytes, None);
    assert!(disk(&disks, "loop0").backing_file.is_some());
}

#[test]
fn a_card_and_its_boot_partitions_are_disks_and_its_partitions_are_not() {
    let disks = DiskInfoCollector.collect(&tick("arm64-board")).unwrap();
    let names: Vec<&str> = disks.disks.iter().map(|disk| &*disk.name).collect();
    assert_eq!(names, ["mmcblk0", "mmcblk0boot0", "zram0"]);
    let card = disk(&disks, "mmcblk0");
    assert_eq!(card.partitions.len(), 2);
    assert_eq!(card.vendor.as_deref(), Some("Samsung"));
    assert_eq!(card.model.as_deref(), Some("BJTD4R"));
    assert_eq!(card.serial.as_deref(), Some("0x00000001"));
    assert_eq!(
        card.wwid.as_deref(),
        Some("150100424a54443452000000000112a3")
    );
    assert_eq!(card.firmware, None);
    assert_eq!(disk(&disks, "mmcblk0").driver.as_deref(), Some("mmcblk"));
    assert_eq!(disk(&disks, "mmcblk0boot0").read_only, Some(true));
}

fn interface<'a>(network: &'a NetworkInfo, name: &str) -> &'a NetworkInterface {
    let found = network.interfaces.iter().find(|i| *i.name == *name);
    found.unwrap_or_else(|| panic!("no {name} in {network:?}"))
}

#[test]
fn the_kind_of_an_interface_does_not_depend_on_its_name() {
    let network = NetworkInfoCollector.collect(&tick("numa-server")).unwrap();
    let kinds: Vec<(&str, InterfaceKind)> = network
        .interfaces
        .iter()
        .map(|interface| (&*interface.name, interface.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("lo", InterfaceKind::Loopback),
            ("eno1", InterfaceKind::Physical),
            ("eno2", InterfaceKind::Physical),
            ("bond0", InterfaceKind::Bond),
            ("bond0.100", InterfaceKind::Vlan),
            ("br0", InterfaceKind::Bridge),
            ("veth1a", InterfaceKind::Veth),
            ("tap0", InterfaceKind::Tap),
            ("wg0", InterfaceKind::Wireguard),
        ]
    );
    let eno1 = interface(&network, "eno1");
    assert_eq!(eno1.driver.as_deref(), Some("ice"));
    assert_eq!(eno1.pci_address.as_deref(), Some("0000:31:00.0"));
    assert_eq!(eno1.speed_bits_per_second, Some(25_000_000_000));
    assert_eq!(eno1.duplex.as_deref(), Some("full"));
    assert_eq!(eno1.master.as_deref(), Some("bond0"));
    assert_eq!((eno1.rx_queues, eno1.tx_queues), (Some(2), Some(1)));
    assert_eq!(eno1.link_index, None);
    let eno2 = interface(&network, "eno2");
    assert_eq!(eno2.speed_bits_per_second, None);
    assert_eq!(eno2.duplex, None);
    assert_eq!(eno2.carrier, Some(false));
    assert_eq!(interface(&network, "bond0").lower.len(), 2);
    assert_eq!(interface(&network, "veth1a").link_index, Some(2));
    assert_eq!(interface(&network, "lo").mac, None);

    let board = NetworkInfoCollector.collect(&tick("arm64-board")).unwrap();
    assert_eq!(interface(&board, "wlan0").kind, InterfaceKind::Wireless);
    assert_eq!(interface(&board, "end0").driver.as_deref(), Some("dwmac"));
    assert_eq!(interface(&board, "end0").pci_address, None);
}

#[test]
fn system_info_has_what_the_firmware_knows() {
    let of = |tree: &str| SystemInfoCollector.collect(&tick(tree)).unwrap();
    let server = of("numa-server");
    assert_eq!(server.hostname.as_deref(), Some("db7"));
    assert_eq!(server.boot_time_s, Some(1_780_000_000));
    assert_eq!(server.hardware.product.as_deref(), Some("Twin 2U"));
    assert_eq!(server.hardware.product_version, None);
    assert_eq!(server.os.unwrap().id.as_deref(), Some("debian"));
    assert_eq!(server.virtual_machine, Some(false));
    assert_eq!(server.page_size_bytes, None);
    let board = of("arm64-board");
    assert_eq!(board.architecture.as_deref(), Some("aarch64"));
    assert_eq!(
        board.hardware.product.as_deref(),
        Some("Example Hexa Board")
    );
    assert_eq!(board.virtual_machine, None);
    assert_eq!(of("vm").virtual_machine, Some(true));
}

#[test]
fn every_process_has_its_fields() {
    let stats = ProcfsProcessStats::new()
        .collect(&tick("numa-server"))
        .unwrap();
    let pids: Vec<u32> = stats.processes.iter().map(|process| process.pid).collect();
    assert_eq!(pids, [1, 2, 812, 2001, 3000]);
    let process = |pid| stats.processes.get(pid).unwrap();
    let (kthreadd, postgres) = (process(2), process(812));
    let (java, zombie) = (process(2001), process(3000));
    assert_eq!(kthreadd.kernel_thread, Some(true));
    assert_eq!(&*postgres.comm, "pg) R (x");
    assert_eq!(postgres.cpu_ns, Some(57_004_000_123));
    assert_eq!(postgres.read_bytes, Some(1 << 20));
    assert_eq!(java.threads, Some(48));
    assert_eq!(java.cpu_ns, Some(940_000_000_000));
    assert_eq!(java.runqueue_ns, None);
    assert_eq!(java.read_bytes, None);
    assert_eq!(zombie.state.map(ProcessState::letter), Some('Z'));
}

#[test]
fn without_schedstat_times_are_in_clock_ticks() {
    let stats = ProcfsProcessStats::new()
        .collect(&tick("arm64-board"))
        .unwrap();
    assert_eq!(
        stats.processes.iter().next().unwrap().cpu_ns,
        Some(1_100_000_000)
    );
    assert_eq!(stats.processes.iter().next().unwrap().runqueue_ns, None);
    assert_eq!(
        stats.processes.iter().next().unwrap().voluntary_switches,
        Some(150)
    );
    let cpus = ProcfsCpuStats.collect(&tick("arm64-board")).unwrap();
    assert_eq!(cpus.cpus.len(), 6);
    assert_eq!(cpus.total.steal_ns, None);
    assert_eq!(cpus.procs_running, None);
}
