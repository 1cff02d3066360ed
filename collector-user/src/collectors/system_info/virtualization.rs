use std::sync::Arc;

use super::DEVICE_TREE;
use crate::{
    metric::Hardware,
    source::{Tick, procfs::cpuinfo::CpuNames, sysfs},
};

/// Whether this is a virtual machine, and its hypervisor or cloud.
///
/// No source is right on every architecture, so the ones that name a hypervisor
/// come before the hypervisor flag of x86, and that before the vendor in the
/// firmware, which clouds also write into their bare-metal machines. A control
/// domain, such as dom0 of Xen, runs on a hypervisor and is not a virtual
/// machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Virtualization {
    /// `None` where it cannot be determined.
    pub(super) is_virtual_machine: Option<bool>,
    /// Of a virtual machine: the hypervisor, or the cloud.
    pub(super) hypervisor: Option<Arc<str>>,
}

impl Virtualization {
    fn guest(hypervisor: Option<&str>) -> Self {
        Self {
            is_virtual_machine: Some(true),
            hypervisor: hypervisor.map(Into::into),
        }
    }

    fn bare() -> Self {
        Self {
            is_virtual_machine: Some(false),
            hypervisor: None,
        }
    }

    fn unknown() -> Self {
        Self::default()
    }

    /// Evaluates all sources in order.
    pub(super) fn detect(
        tick: &Tick,
        cpus: &CpuNames,
        hardware: &Hardware,
        kernel_release: Option<&str>,
    ) -> Self {
        if cpus.is_user_mode_linux() {
            return Self::guest(Some("uml"));
        }
        let firmware = Firmware::find(hardware);
        let tree = DeviceTree::read(tick);
        xen(tick, &tree, firmware.as_ref())
            .or_else(|| windows_subsystem(kernel_release?))
            .or_else(|| s390(tick))
            .or_else(|| tree.hypervisor())
            .or_else(|| power(cpus, &tree))
            .unwrap_or_else(|| match cpus.hypervisor {
                Some(flag) => by_flag(tick, flag, firmware.as_ref()),
                None => by_firmware(tick, firmware.as_ref()),
            })
    }
}

/// Xen: a guest, or the control domain (dom0), which owns the hardware.
///
/// The files are those of <https://docs.kernel.org/admin-guide/abi-testing.html>
/// (`/sys/hypervisor`) and of xenfs, which only few distributions still mount.
fn xen(tick: &Tick, tree: &DeviceTree, firmware: Option<&Firmware>) -> Option<Virtualization> {
    /// `XENFEAT_dom0`:
    /// <https://github.com/torvalds/linux/blob/v6.12/include/xen/interface/features.h#L84>.
    const DOM0: u64 = 1 << 11;
    let kind = sysfs::text(tick, "/sys/hypervisor/type");
    let capabilities = sysfs::text(tick, "/proc/xen/capabilities");
    let in_tree = tree.hypervisor.iter().any(|entry| entry.contains("xen"));
    let is_xen = kind.as_deref() == Some("xen") || capabilities.is_some() || in_tree;
    if !is_xen {
        return kind.map(|kind| Virtualization::guest(Some(&kind)));
    }
    let features = sysfs::parsed(tick, "/sys/hypervisor/properties/features", |bytes| {
        let digits = str::from_utf8(bytes.trim_ascii()).ok()?;
        u64::from_str_radix(digits, 16).ok()
    });
    let is_control_domain = match features {
        Some(features) => features & DOM0 != 0,
        None => capabilities.is_some_and(|text| text.split(',').any(|word| word == "control_d")),
    };
    if !is_control_domain {
        return Some(Virtualization::guest(Some("xen")));
    }
    // Xen itself may run in a virtual machine; the firmware is not that of Xen
    // then.
    Some(match firmware {
        Some(vendor) if !vendor.is_cloud => Virtualization::guest(Some(vendor.name)),
        Some(vendor) if !vendor.is_bare => Virtualization::unknown(),
        _ => Virtualization::bare(),
    })
}

/// The Windows Subsystem for Linux: version 2 is a virtual machine, version 1
/// is none.
fn windows_subsystem(kernel_release: &str) -> Option<Virtualization> {
    if kernel_release.contains("WSL") || kernel_release.contains("microsoft-standard") {
        return Some(Virtualization::guest(Some("wsl")));
    }
    kernel_release
        .ends_with("-Microsoft")
        .then(Virtualization::unknown)
}

/// s390x: `/proc/sysinfo` has a block `VM00` of the innermost hypervisor; a
/// logical partition (LPAR) has none.
fn s390(tick: &Tick) -> Option<Virtualization> {
    let sysinfo = tick.read("/proc/sysinfo").ok()?;
    let text = String::from_utf8_lossy(&sysinfo);
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    };
    // The file does not exist on other architectures.
    value("Manufacturer")?;
    Some(match value("VM00 Control Program") {
        Some(program) if program.starts_with("z/VM") => Virtualization::guest(Some("zvm")),
        Some(program) if program.starts_with("KVM") => Virtualization::guest(Some("kvm")),
        Some(_) => Virtualization::guest(None),
        None => Virtualization::bare(),
    })
}

/// The hypervisor in the device tree.
#[derive(Debug, Default)]
struct DeviceTree {
    compatible: Vec<String>,
    hypervisor: Vec<String>,
    has_fw_cfg: bool,
}

impl DeviceTree {
    fn read(tick: &Tick) -> Self {
        let list = |property: &str| {
            let bytes = tick.read(&format!("{DEVICE_TREE}/{property}"));
            bytes.map_or_else(|_| Vec::new(), |bytes| sysfs::parse_string_list(&bytes))
        };
        let Ok(nodes) = tick.read_dir(DEVICE_TREE) else {
            return Self::default();
        };
        Self {
            compatible: list("compatible"),
            hypervisor: list("hypervisor/compatible"),
            has_fw_cfg: nodes.iter().any(|node| node.starts_with("fw-cfg")),
        }
    }

    fn is(&self, compatible: &str) -> bool {
        self.compatible.iter().any(|entry| entry == compatible)
    }

    /// The hypervisor that has a node of its own, or that built the tree.
    fn hypervisor(&self) -> Option<Virtualization> {
        const NAMES: [(&str, &str); 3] =
            [("linux,kvm", "kvm"), ("xen", "xen"), ("vmware", "vmware")];
        if let Some(first) = self.hypervisor.first() {
            let known = NAMES.iter().find(|(word, _)| {
                let mut entries = self.hypervisor.iter();
                entries.any(|entry| entry.contains(word))
            });
            let name = known.map_or(first.as_str(), |(_, name)| name);
            return Some(Virtualization::guest(Some(name)));
        }
        if self.has_fw_cfg || self.is("qemu,pseries") || self.is("riscv-virtio") {
            return Some(Virtualization::guest(Some("qemu")));
        }
        // The `virt` board of QEMU, which other virtual machine monitors
        // provide too.
        self.is("linux,dummy-virt")
            .then(|| Virtualization::guest(None))
    }
}

/// PowerPC: `PowerNV` is bare metal; a `pSeries` is a PowerVM partition, unless
/// the device tree names another hypervisor.
fn power(cpus: &CpuNames, tree: &DeviceTree) -> Option<Virtualization> {
    match cpus.platform.as_deref() {
        Some("PowerNV") => Some(Virtualization::bare()),
        Some("pSeries") => {
            let is_emulated = cpus
                .machine
                .as_deref()
                .is_some_and(|machine| machine.contains("qemu"));
            let name = if is_emulated { "qemu" } else { "powervm" };
            Some(Virtualization::guest(Some(name)))
        }
        _ => tree.is("ibm,powernv").then(Virtualization::bare),
    }
}

/// x86: bit 31 of CPUID leaf 1, which hypervisors set for their guests.
fn by_flag(tick: &Tick, flag: bool, firmware: Option<&Firmware>) -> Virtualization {
    let made_by_monitor = firmware.filter(|vendor| !vendor.is_cloud);
    if !flag {
        // A hypervisor may hide the bit; its firmware still names it.
        return match made_by_monitor {
            Some(vendor) => Virtualization::guest(Some(vendor.name)),
            None => Virtualization::bare(),
        };
    }
    // The root partition of Hyper-V and the service VM of ACRN own the
    // hardware, and have a device to manage the other virtual machines.
    let manages = |device: &str| tick.read_dir(&format!("/sys/class/misc/{device}")).is_ok();
    if made_by_monitor.is_none() && (manages("mshv") || manages("acrn_hsm")) {
        return Virtualization::bare();
    }
    let name = firmware.map(|vendor| vendor.name);
    Virtualization {
        hypervisor: name.map(Arc::from).or_else(|| by_clock(tick)),
        ..Virtualization::guest(None)
    }
}

/// The hypervisor whose clock source is available.
fn by_clock(tick: &Tick) -> Option<Arc<str>> {
    const CLOCKS: [(&str, &str); 3] = [
        ("kvm-clock", "kvm"),
        ("xen", "xen"),
        // KVM provides it too, so it comes last.
        ("hyperv_clocksource", "hyperv"),
    ];
    let path = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
    let clocks = sysfs::text(tick, path)?;
    let known = CLOCKS.iter().find(|(clock, _)| {
        let mut words = clocks.split_ascii_whitespace();
        words.any(|word| word.starts_with(clock))
    });
    known.map(|&(_, name)| name.into())
}

/// Where there is no hypervisor flag, as on arm64 and RISC-V.
fn by_firmware(tick: &Tick, firmware: Option<&Firmware>) -> Virtualization {
    let vm_bit = smbios_vm_bit(tick);
    if vm_bit == Some(true) || firmware.is_some_and(|vendor| vendor.is_certain) {
        Virtualization::guest(firmware.map(|vendor| vendor.name))
    } else if firmware.is_some_and(|vendor| vendor.is_bare) {
        Virtualization::bare()
    } else {
        Virtualization::unknown()
    }
}

/// Whether the SMBIOS describes a virtual machine: bit 4 of the second
/// extension byte of the BIOS characteristics. Readable by root only; a
/// hypervisor need not set it. <https://www.dmtf.org/standards/smbios>, 7.1.2.2
fn smbios_vm_bit(tick: &Tick) -> Option<bool> {
    sysfs::parsed(tick, "/sys/firmware/dmi/entries/0-0/raw", |table| {
        let length = usize::from(*table.get(1)?);
        let byte = table.get(..length)?.get(0x13)?;
        Some(byte & 1 << 4 != 0)
    })
}

/// The vendor of the machine in the firmware.
#[derive(Debug)]
struct Firmware {
    name: &'static str,
    /// A cloud, which has bare-metal machines too.
    is_cloud: bool,
    /// Whether this is certainly a virtual machine: only hypervisors use the
    /// name, or it is a cloud whose product names tell.
    is_certain: bool,
    /// Whether the product name is that of a bare-metal machine.
    is_bare: bool,
}

/// Prefixes of the products and vendors of virtual machines, and their
/// hypervisors. Only hypervisors use these.
const MONITORS: &[(&str, &str)] = &[
    ("AHV", "ahv"),
    ("Apple Virtualization", "apple"),
    ("BHYVE", "bhyve"),
    ("Bochs", "bochs"),
    ("Cloud Hypervisor", "cloud-hypervisor"),
    ("crosvm", "crosvm"),
    ("DigitalOcean", "digitalocean"),
    ("HVM domU", "xen"),
    ("Hetzner", "hetzner"),
    ("Hyper-V", "hyperv"),
    ("KVM", "kvm"),
    ("KubeVirt", "kvm"),
    ("OpenStack", "openstack"),
    ("Parallels", "parallels"),
    ("QEMU", "qemu"),
    ("RHEV Hypervisor", "kvm"),
    ("VMW", "vmware"),
    ("VMware", "vmware"),
    ("Virtual Machine", "hyperv"),
    ("VirtualBox", "virtualbox"),
    ("Xen", "xen"),
    ("innotek GmbH", "virtualbox"),
    ("oVirt", "kvm"),
];

/// Clouds that use their name for bare-metal machines as well.
const CLOUDS: &[(&str, &str)] = &[
    ("Alibaba Cloud", "alibaba"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("Google", "google"),
    ("Tencent Cloud", "tencent"),
];

impl Firmware {
    fn find(hardware: &Hardware) -> Option<Self> {
        // The product comes first: QEMU is the vendor of KVM machines.
        let texts = [
            &hardware.product,
            &hardware.vendor,
            &hardware.board_vendor,
            &hardware.firmware_vendor,
            // Hyper-V has its name there.
            &hardware.product_version,
        ];
        let find = |table: &'static [(&'static str, &'static str)]| {
            texts.iter().copied().flatten().find_map(|text| {
                let row = table.iter().find(|(prefix, _)| text.starts_with(prefix));
                row.map(|&(_, name)| name)
            })
        };
        // A cloud may run KVM, and is named itself.
        if let Some(name) = find(CLOUDS) {
            return Some(Self::cloud(name, hardware));
        }
        find(MONITORS).map(|name| Self {
            name,
            is_cloud: false,
            is_certain: true,
            is_bare: false,
        })
    }

    fn cloud(name: &'static str, hardware: &Hardware) -> Self {
        // Amazon's product is the instance type: `m6g.large`, `m6g.metal`,
        // `m7i.metal-24xl`.
        let product = hardware.product.as_deref().filter(|_| name == "amazon");
        let is_bare = product.is_some_and(|product| {
            let after = product.split_once(".metal").map(|(_, after)| after);
            after.is_some_and(|after| after.is_empty() || after.starts_with('-'))
        });
        Self {
            name,
            is_cloud: true,
            is_certain: product.is_some_and(|product| product.contains('.')) && !is_bare,
            is_bare,
        }
    }
}

#[cfg(test)]
#[path = "virtualization_tests.rs"]
mod tests;
