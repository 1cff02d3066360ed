//! Small trees, each of a fault seen in the field, read by the binary.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

use std::{path::Path, process::Command};

use serde_json::{Value, json};

/// The reading of one metric of a tree, as JSON.
fn reading(tree: &str, metric: &str) -> Value {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/cases");
    let output = Command::new(env!("CARGO_BIN_EXE_collector"))
        .args(["snapshot", "--backend", "procfs", "--format", "json"])
        .args(["--metrics", metric, "--root"])
        .arg(cases.join(tree))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut snapshot: Value = serde_json::from_slice(&output.stdout).unwrap();
    snapshot["metrics"][metric]["data"].take()
}

/// The row of a list with this value of a field.
fn row<'a>(rows: &'a Value, field: &str, value: &Value) -> &'a Value {
    let found = rows.as_array().unwrap().iter();
    let mut found = found.filter(|row| row[field] == *value);
    let row = found.next();
    let row = row.unwrap_or_else(|| panic!("no {field} {value} in {rows:#}"));
    assert!(found.next().is_none(), "{field} {value} stands twice");
    row
}

fn process(stats: &Value, pid: u32) -> &Value {
    row(&stats["processes"], "pid", &pid.into())
}

const DOCKER_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER_ID: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

#[test]
fn on_a_hybrid_host_v1_containers_are_not_in_the_cgroup_of_their_daemon() {
    let stats = reading("hybrid-container", "process_stats");
    let docker = process(&stats, 100);
    assert_eq!(docker["cgroup"], format!("/docker/{DOCKER_ID}"));
    assert_eq!(docker["container"]["runtime"], "docker");
    assert_eq!(docker["container"]["container_id"], DOCKER_ID);
    let pod = process(&stats, 101);
    assert_eq!(pod["container"]["container_id"], OTHER_ID);
    let uid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    assert_eq!(pod["container"]["pod_uid"], uid);
    let daemon = process(&stats, 99);
    assert_eq!(daemon["cgroup"], "/system.slice/containerd.service");
    assert_eq!(stats["cgroups"].as_array().unwrap().len(), 3);
    for path in [&docker["cgroup"], &pod["cgroup"], &daemon["cgroup"]] {
        assert_eq!(row(&stats["cgroups"], "path", path)["processes"], 1);
    }
}

#[test]
fn a_zombie_is_in_the_cgroup_in_which_it_exited() {
    let stats = reading("zombie-cgroup", "process_stats");
    for (pid, id) in [(211, DOCKER_ID), (212, OTHER_ID)] {
        let zombie = process(&stats, pid);
        assert_eq!(zombie["state"], "zombie");
        let path = format!("/system.slice/docker-{id}.scope");
        assert_eq!(zombie["cgroup"], path);
        assert_eq!(zombie["container"]["container_id"], id);
    }
}

#[test]
fn a_kworker_has_the_comm_of_the_task() {
    let stats = reading("kworker-comm", "process_stats");
    assert_eq!(process(&stats, 41)["comm"], "kworker/u16:4");
}

#[test]
fn a_hidden_disk_is_a_path_of_a_multipath_disk() {
    let disks = reading("nvme-hidden", "disk_info");
    assert_eq!(disks["disks"].as_array().unwrap().len(), 1);
    let disk = row(&disks["disks"], "name", &"nvme0n1".into());
    assert_eq!(disk["pci_address"], "0000:02:00.0");
    assert_eq!(disk["driver"], "nvme");
    assert_eq!(disk["numa_node"], 1);
    assert_eq!(disk["model"], "SAMSUNG MZPLL1T6");
    let path = json!([{"name": "nvme0c0n1", "pci_address": "0000:02:00.0"}]);
    assert_eq!(disk["paths"], path);
}

#[test]
fn a_volume_on_two_partitions_of_a_disk_is_one_holder() {
    let disks = reading("disk-holders", "disk_info");
    let sda = row(&disks["disks"], "name", &"sda".into());
    assert_eq!(sda["upper"], json!(["dm-0"]));
    for partition in sda["partitions"].as_array().unwrap() {
        assert_eq!(partition["upper"], json!(["dm-0"]));
    }
    let aoe = row(&disks["disks"], "name", &"etherd/e1.1".into());
    assert_eq!(aoe["upper"], json!(["dm-1"]));
    assert_eq!(aoe["partitions"][0]["name"], "etherd/e1.1p1");
    let volume = row(&disks["disks"], "name", &"dm-1".into());
    assert_eq!(volume["lower"], json!(["etherd/e1.1p1"]));
}

#[test]
fn a_drive_without_a_disc_has_no_size() {
    let disks = reading("sr0-empty", "disk_info");
    let drive = row(&disks["disks"], "name", &"sr0".into());
    assert_eq!(drive["size_bytes"], Value::Null);
    assert_eq!(drive["model"], "QEMU DVD-ROM");
}

#[test]
fn an_ethernet_tunnel_is_not_a_veth() {
    let network = reading("net-gretap", "network_info");
    for (name, kind, link) in [
        ("gretap0", "virtual", Value::Null),
        ("erspan0", "virtual", Value::Null),
        ("gretap1", "virtual", 2.into()),
        ("gre0", "tunnel", Value::Null),
        ("sit0", "tunnel", Value::Null),
        ("tunl0", "tunnel", Value::Null),
    ] {
        let interface = row(&network["interfaces"], "name", &name.into());
        assert_eq!(interface["kind"], kind, "{name}");
        assert_eq!(interface["link_index"], link, "{name}");
    }
}

#[test]
fn a_bare_metal_instance_of_a_cloud_is_not_a_virtual_machine() {
    let system = reading("ec2-metal-arm", "system_info");
    assert_eq!(system["virtual_machine"], false);
    assert_eq!(system["hypervisor"], Value::Null);
    let cpus = reading("ec2-metal-arm", "cpu_info");
    assert_eq!(cpus["vendor"], "Arm");
    assert_eq!(cpus["model"], "Neoverse-N1");
}

#[test]
fn an_uptime_may_have_any_number_of_decimals() {
    let load = reading("uptime-lxcfs", "load_avg");
    assert_eq!(load["uptime_ns"], 144_686_000_000_000_u64);
}
