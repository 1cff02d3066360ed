use std::fs;

use super::*;
use crate::source::{Sources, procfs::cpuinfo};

/// What is found in a tree with these files.
fn found(files: &[(&str, &str)]) -> (Option<bool>, Option<String>) {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let tick = Sources::rooted(root.path().to_owned()).tick();
    let cpus = tick
        .read("/proc/cpuinfo")
        .map(|bytes| cpuinfo::parse(&bytes))
        .unwrap_or_default();
    let release = sysfs::text(&tick, "/proc/sys/kernel/osrelease");
    let hardware = super::super::hardware(&tick);
    let found = Virtualization::detect(&tick, &cpus, &hardware, release.as_deref());
    let hypervisor = found.hypervisor.map(|name| name.to_string());
    (found.is_virtual_machine, hypervisor)
}

fn guest(name: &str) -> (Option<bool>, Option<String>) {
    (Some(true), Some(name.to_owned()))
}

const BARE: (Option<bool>, Option<String>) = (Some(false), None);
const UNKNOWN: (Option<bool>, Option<String>) = (None, None);
const FLAG: (&str, &str) = ("proc/cpuinfo", "processor: 0\nflags: fpu hypervisor\n");
const NO_FLAG: (&str, &str) = ("proc/cpuinfo", "processor: 0\nflags: fpu vme\n");
const ARM64: (&str, &str) = ("proc/cpuinfo", "processor: 0\nFeatures: fp asimd\n");
const VENDOR: &str = "sys/class/dmi/id/sys_vendor";
const PRODUCT: &str = "sys/class/dmi/id/product_name";
const COMPATIBLE: &str = "sys/firmware/devicetree/base/compatible";
const HYPERVISOR: &str = "sys/firmware/devicetree/base/hypervisor/compatible";

#[test]
fn on_x86_the_flag_tells() {
    assert_eq!(found(&[NO_FLAG, (VENDOR, "Dell Inc.")]), BARE);
    assert_eq!(found(&[FLAG]), (Some(true), None));
    let product = (PRODUCT, "KVM");
    assert_eq!(found(&[FLAG, (VENDOR, "QEMU"), product]), guest("kvm"));
    let hyperv = [
        (VENDOR, "Microsoft Corporation"),
        (PRODUCT, "Virtual Machine"),
    ];
    assert_eq!(found(&[FLAG, hyperv[0], hyperv[1]]), guest("hyperv"));
    let clocks = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    assert_eq!(found(&[FLAG, (clocks, "kvm-clock tsc")]), guest("kvm"));
    // The monitor hides it.
    assert_eq!(found(&[NO_FLAG, (VENDOR, "QEMU")]), guest("qemu"));
}

#[test]
fn a_bare_metal_instance_of_a_cloud_is_not_a_virtual_machine() {
    let amazon = (VENDOR, "Amazon EC2");
    assert_eq!(found(&[NO_FLAG, amazon, (PRODUCT, "m5.metal")]), BARE);
    assert_eq!(
        found(&[FLAG, amazon, (PRODUCT, "m5.large")]),
        guest("amazon")
    );
    assert_eq!(found(&[ARM64, amazon, (PRODUCT, "m6g.metal")]), BARE);
    assert_eq!(found(&[ARM64, amazon, (PRODUCT, "m8g.metal-24xl")]), BARE);
    assert_eq!(
        found(&[ARM64, amazon, (PRODUCT, "m6g.large")]),
        guest("amazon")
    );
    assert_eq!(found(&[ARM64, amazon]), UNKNOWN);
    let google = (VENDOR, "Google");
    assert_eq!(found(&[NO_FLAG, google]), BARE);
    assert_eq!(found(&[ARM64, google]), UNKNOWN);
}

#[test]
fn a_control_domain_is_no_virtual_machine() {
    let xen = ("sys/hypervisor/type", "xen\n");
    let control = ("proc/xen/capabilities", "control_d\n");
    let guest_features = ("sys/hypervisor/properties/features", "00000705\n");
    let control_features = ("sys/hypervisor/properties/features", "00002fdf\n");
    let dell = (VENDOR, "Dell Inc.");
    assert_eq!(found(&[FLAG, xen]), guest("xen"));
    assert_eq!(found(&[FLAG, xen, guest_features]), guest("xen"));
    assert_eq!(found(&[FLAG, xen, control, dell]), BARE);
    assert_eq!(found(&[FLAG, xen, control_features, dell]), BARE);
    assert_eq!(found(&[FLAG, control, dell]), BARE);
    assert_eq!(
        found(&[FLAG, ("proc/xen/capabilities", "\n"), xen]),
        guest("xen")
    );
    // Xen in a virtual machine.
    assert_eq!(
        found(&[FLAG, xen, control, (VENDOR, "QEMU")]),
        guest("qemu")
    );
    // On arm64 the device tree has a node for Xen, in dom0 too.
    let node = (HYPERVISOR, "xen,xen-4.17\0xen,xen\0");
    assert_eq!(found(&[ARM64, node]), guest("xen"));
    assert_eq!(found(&[ARM64, node, control]), BARE);

    let root_partition = ("sys/class/misc/mshv/dev", "10:120\n");
    assert_eq!(found(&[FLAG, root_partition, dell]), BARE);
    let product = (PRODUCT, "Virtual Machine");
    assert_eq!(found(&[FLAG, root_partition, product]), guest("hyperv"));
}

#[test]
fn without_a_flag_the_device_tree_or_the_firmware_tells() {
    assert_eq!(found(&[ARM64]), UNKNOWN);
    assert_eq!(found(&[]), UNKNOWN);
    assert_eq!(found(&[ARM64, (HYPERVISOR, "linux,kvm\0")]), guest("kvm"));
    let board = (COMPATIBLE, "raspberrypi,4-model-b\0brcm,bcm2711\0");
    assert_eq!(found(&[ARM64, board]), UNKNOWN);
    assert_eq!(
        found(&[ARM64, (COMPATIBLE, "linux,dummy-virt\0")]),
        (Some(true), None)
    );
    assert_eq!(found(&[(COMPATIBLE, "riscv-virtio\0")]), guest("qemu"));
    let node = "sys/firmware/devicetree/base/fw-cfg@9020000/compatible";
    assert_eq!(found(&[ARM64, (node, "qemu,fw-cfg-mmio\0")]), guest("qemu"));
    assert_eq!(found(&[ARM64, (VENDOR, "QEMU")]), guest("qemu"));
    let smbios = |byte: &str| format!("\0\x18{}{byte}\0\0\0\0", "\0".repeat(17));
    let raw = "sys/firmware/dmi/entries/0-0/raw";
    let (is_set, is_unset) = (smbios("\x1c"), smbios("\x0c"));
    assert_eq!(found(&[ARM64, (raw, &is_set)]), (Some(true), None));
    assert_eq!(found(&[ARM64, (raw, &is_unset)]), UNKNOWN);
    let google = (VENDOR, "Google");
    assert_eq!(found(&[ARM64, google, (raw, &is_set)]), guest("google"));
}

#[test]
fn a_partition_of_a_mainframe_is_told_from_a_guest() {
    let sysinfo = |vm: &str| format!("Manufacturer:         IBM\nType:                 3931\n{vm}");
    let vm = |program: &str| {
        sysinfo(&format!(
            "\nVM00 Name:            LINUX1\nVM00 Control Program: {program}\n"
        ))
    };
    let s390 = |text: &str| found(&[("proc/sysinfo", text)]);
    assert_eq!(s390(&sysinfo("LPAR Number:          12\n")), BARE);
    assert_eq!(s390(&vm("z/VM    7.3.0")), guest("zvm"));
    assert_eq!(s390(&vm("KVM/Linux       ")), guest("kvm"));
}

#[test]
fn on_power_the_platform_tells() {
    let power = |platform: &str, more: &[(&str, &str)]| {
        let cpuinfo = format!("processor\t: 0\ncpu\t\t: POWER9\n\nplatform\t: {platform}\n");
        found(&[&[("proc/cpuinfo", cpuinfo.as_str())], more].concat())
    };
    assert_eq!(power("PowerNV", &[]), BARE);
    assert_eq!(
        power("pSeries\nmachine : CHRP IBM,9008-22L", &[]),
        guest("powervm")
    );
    let emulated = "pSeries\nmachine\t: CHRP IBM pSeries (emulated by qemu)";
    assert_eq!(power(emulated, &[]), guest("qemu"));
    let node = (HYPERVISOR, "linux,kvm\0");
    let compatible = (COMPATIBLE, "qemu,pseries\0");
    assert_eq!(power(emulated, &[node, compatible]), guest("kvm"));
    assert_eq!(power("pSeries", &[compatible]), guest("qemu"));
    assert_eq!(found(&[(COMPATIBLE, "ibm,powernv\0")]), BARE);
}

#[test]
fn user_mode_linux_and_the_windows_subsystem_are_told() {
    let uml = "processor: 0\nvendor_id: User Mode Linux\nflags: fpu\n";
    assert_eq!(found(&[("proc/cpuinfo", uml)]), guest("uml"));
    let release = "proc/sys/kernel/osrelease";
    let second = (release, "5.15.153.1-microsoft-standard-WSL2\n");
    assert_eq!(found(&[FLAG, second]), guest("wsl"));
    assert_eq!(
        found(&[FLAG, (release, "4.4.0-19041-Microsoft\n")]),
        UNKNOWN
    );
}
