//! Values of firmware and drivers that mean unknown.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

use std::{fs, path::Path};

use collector::{
    collectors::{
        Collector as _, CpuInfoCollector, DiskInfoCollector, NetworkInfoCollector,
        SystemInfoCollector,
    },
    metric::{CpuInfo, Disk, InterfaceKind, NetworkInterface, SystemInfo},
    source::{Sources, Tick},
};
use tempfile::TempDir;

/// A tree with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(root.path(), name, content);
    }
    root
}

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn tick(root: &TempDir) -> Tick {
    Sources::rooted(root.path().to_owned()).tick()
}

/// A network interface with these attributes, beside others.
fn interface(attributes: &[(&str, &str)], others: &[(&str, &str)]) -> NetworkInterface {
    let root = tree(&[]);
    write(root.path(), "sys/class/net/x/ifindex", "7");
    write(root.path(), "sys/class/net/x/type", "1");
    for (name, content) in attributes {
        write(root.path(), &format!("sys/class/net/x/{name}"), content);
    }
    for (name, content) in others {
        write(root.path(), &format!("sys/class/net/{name}"), content);
    }
    let network = NetworkInfoCollector.collect(&tick(&root)).unwrap();
    let found = network.interfaces.into_iter().find(|i| *i.name == *"x");
    found.unwrap()
}

#[test]
fn an_unknown_link_speed_is_null() {
    for unknown in ["-1", "0", "65535", "4294967295", "", "unknown"] {
        let speed = interface(&[("speed", unknown)], &[]).speed_bits_per_second;
        assert_eq!(speed, None, "{unknown}");
    }
    let speed = interface(&[("speed", "400000")], &[]).speed_bits_per_second;
    assert_eq!(speed, Some(400_000_000_000));
    for unknown in ["unknown", "Unknown! (255)", ""] {
        assert_eq!(interface(&[("duplex", unknown)], &[]).duplex, None);
    }
    let duplex = interface(&[("duplex", "half")], &[]).duplex;
    assert_eq!(duplex.as_deref(), Some("half"));
}

#[test]
fn a_veth_is_recognized_by_its_speed_or_its_peer() {
    let kind = |attributes: &[_], others: &[_]| interface(attributes, others).kind;
    let to_other_namespace = ("iflink", "2");
    let up = [to_other_namespace, ("speed", "10000"), ("duplex", "full")];
    assert_eq!(kind(&up, &[]), InterfaceKind::Veth);
    let peer = [("y/ifindex", "2"), ("y/iflink", "7"), ("y/type", "1")];
    assert_eq!(kind(&[to_other_namespace], &peer), InterfaceKind::Veth);
    // An Ethernet tunnel on a device of this namespace.
    let device = [("eth0/ifindex", "2"), ("eth0/iflink", "2")];
    assert_eq!(kind(&[to_other_namespace], &device), InterfaceKind::Virtual);
    assert_eq!(kind(&[to_other_namespace], &[]), InterfaceKind::Virtual);
    let unbound = [("iflink", "0"), ("speed", "10000")];
    assert_eq!(kind(&unbound, &[]), InterfaceKind::Virtual);
    assert_eq!(interface(&unbound, &[]).link_index, None);
}

fn system(files: &[(&str, &str)]) -> SystemInfo {
    SystemInfoCollector.collect(&tick(&tree(files))).unwrap()
}

#[test]
fn a_placeholder_of_the_firmware_is_null() {
    let dmi = |name: &str| format!("sys/class/dmi/id/{name}");
    let (vendor, product, board) = (dmi("sys_vendor"), dmi("product_name"), dmi("board_name"));
    let model = "sys/firmware/devicetree/base/model";
    let found = system(&[
        ("etc/machine-id", "uninitialized\n"),
        ("proc/sys/kernel/hostname", "(none)\n"),
        ("proc/stat", "cpu 1 2 3 4\nbtime 0\n"),
        (&vendor, "To be filled by O.E.M.\n"),
        (&product, "................\n"),
        (&board, "X11DPi-N\n"),
        (model, "Default string\0"),
    ]);
    assert_eq!(found.machine_id, None);
    assert_eq!(found.hostname, None);
    assert_eq!(found.boot_time_s, None);
    assert_eq!(found.hardware.vendor, None);
    assert_eq!(found.hardware.product, None);
    assert_eq!(found.hardware.board.as_deref(), Some("X11DPi-N"));
}

#[test]
fn an_unknown_topology_id_is_null() {
    let cpus = |files: &[(&str, &str)]| -> CpuInfo {
        let root = tree(&[("sys/devices/system/cpu/online", "0")]);
        for (name, content) in files {
            let name = format!("sys/devices/system/cpu/cpu0/{name}");
            write(root.path(), &name, content);
        }
        CpuInfoCollector.collect(&tick(&root)).unwrap()
    };
    for unknown in ["-1", "65535", "4294967295"] {
        let found = cpus(&[
            ("topology/physical_package_id", unknown),
            ("topology/die_id", unknown),
            ("topology/cluster_id", unknown),
            ("topology/core_id", unknown),
        ]);
        let cpu = &found.cpus[0];
        let ids = [cpu.package_id, cpu.die_id, cpu.cluster_id, cpu.core_id];
        assert_eq!(ids, [None; 4], "{unknown}");
        assert_eq!(found.packages, None);
    }
    let found = cpus(&[
        ("topology/die_id", "0"),
        ("cpufreq/cpuinfo_min_freq", "0"),
        ("cpufreq/cpuinfo_max_freq", "2000000"),
        ("cpu_capacity", "0"),
        ("cache/index0/level", "1"),
        ("cache/index0/size", "0K"),
        ("cache/index0/coherency_line_size", "0"),
        ("cache/index0/ways_of_associativity", "0"),
    ]);
    let cpu = &found.cpus[0];
    assert_eq!((cpu.die_id, cpu.capacity), (Some(0), None));
    assert_eq!(cpu.min_frequency_hz, None);
    assert_eq!(cpu.max_frequency_hz, Some(2_000_000_000));
    let cache = &found.caches[0];
    assert_eq!(cache.size_bytes, None);
    assert_eq!((cache.line_bytes, cache.ways), (None, None));
}

fn disk(attributes: &[(&str, &str)]) -> Disk {
    let root = tree(&[]);
    for (name, content) in attributes {
        write(root.path(), &format!("sys/block/x/{name}"), content);
    }
    let disks = DiskInfoCollector.collect(&tick(&root)).unwrap().disks;
    disks.into_iter().next().unwrap()
}

#[test]
fn an_unknown_attribute_of_a_disk_is_null() {
    let found = disk(&[
        ("size", "0"),
        ("serial", "00000000000000000000"),
        ("wwid", "eui.0000000000000000"),
        ("device/model", "                "),
        ("device/vendor", "0x1af4"),
        ("queue/logical_block_size", "0"),
        ("queue/nr_requests", "0"),
        ("queue/rotational", "2"),
    ]);
    assert_eq!((found.size_bytes, found.logical_block_bytes), (None, None));
    assert_eq!((found.serial, found.wwid), (None, None));
    assert_eq!((found.model, found.vendor), (None, None));
    assert_eq!((found.nr_requests, found.rotational), (None, None));
}

#[test]
fn only_a_card_has_its_manufacturer_from_the_cid_register() {
    let card = [
        ("device/type", "SD"),
        ("device/name", "SC64G"),
        ("device/manfid", "0x000003"),
        ("device/serial", "0x12345678"),
    ];
    let cid = ("device/cid", "035344534336344780123456780157c1");
    let found = disk(&[&card[..], &[cid]].concat());
    assert_eq!(found.model.as_deref(), Some("SC64G"));
    assert_eq!(found.vendor.as_deref(), Some("SanDisk"));
    assert_eq!(found.serial.as_deref(), Some("0x12345678"));
    assert_eq!(found.wwid.as_deref(), Some(cid.1));
    assert_eq!(disk(&card).model, None);
}
