use std::sync::Arc;

use super::{CollectError, Collector};
use crate::{
    metric::{Hardware, SystemInfo},
    source::{
        Tick,
        procfs::{CLOCK_TICKS_PER_SECOND, cpuinfo, os_release, proc_stat},
        sysfs,
    },
};

/// Reads [`SystemInfo`]. Tier 1.
///
/// Needs no rights: what the firmware shows to root only, serial numbers and
/// the UUID, is not asked for. Whatever is missing is `None`; it never fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemInfoCollector;

const DMI: &str = "/sys/class/dmi/id";
const DEVICE_TREE: &str = "/sys/firmware/devicetree/base";

impl Collector for SystemInfoCollector {
    type Reading = SystemInfo;

    fn sources(&self) -> &'static [&'static str] {
        &[
            "/etc/machine-id",
            "/etc/os-release",
            "/proc/cpuinfo",
            "/proc/stat",
            "/proc/sys/kernel/*",
            "/sys/class/dmi/id/*",
            "/sys/firmware/devicetree/base/*",
            "/sys/hypervisor/type",
        ]
    }

    fn collect(&mut self, tick: &Tick) -> Result<SystemInfo, CollectError> {
        let kernel = |name: &str| sysfs::text(tick, &format!("/proc/sys/kernel/{name}"));
        let page_size_bytes = tick.sources().page_size_bytes();
        // The page size is known of this kernel only, and so is its machine.
        let machine = || {
            page_size_bytes?;
            let uname = rustix::system::uname();
            uname.machine().to_str().ok().map(Arc::from)
        };
        let os = tick
            .read("/etc/os-release")
            .or_else(|_| tick.read("/usr/lib/os-release"));
        let hardware = hardware(tick);
        let named = hypervisor(tick, &hardware);
        let says_so = tick
            .read("/proc/cpuinfo")
            .ok()
            .and_then(|bytes| cpuinfo::parse(&bytes).hypervisor);
        let virtual_machine = says_so.or(named.is_some().then_some(true));
        Ok(SystemInfo {
            hostname: kernel("hostname"),
            machine_id: sysfs::text(tick, "/etc/machine-id"),
            boot_id: kernel("random/boot_id"),
            boot_time_s: tick
                .parse("/proc/stat", proc_stat::parse)
                .ok()
                .and_then(|stat| stat.boot_time_s),
            kernel_release: kernel("osrelease"),
            kernel_version: kernel("version"),
            // Since Linux 6.1.
            architecture: kernel("arch").or_else(machine),
            page_size_bytes,
            clock_ticks_per_second: CLOCK_TICKS_PER_SECOND,
            os: os.ok().map(|bytes| os_release::parse(&bytes)),
            hardware,
            virtual_machine,
            // A cloud's bare machine carries the cloud's name as well.
            hypervisor: named.filter(|_| virtual_machine == Some(true)),
        })
    }
}

fn hardware(tick: &Tick) -> Hardware {
    let dmi = |name: &str| {
        sysfs::text(tick, &format!("{DMI}/{name}")).filter(|text| !is_placeholder(text))
    };
    Hardware {
        vendor: dmi("sys_vendor"),
        product: dmi("product_name").or_else(|| sysfs::text(tick, &format!("{DEVICE_TREE}/model"))),
        product_version: dmi("product_version"),
        board_vendor: dmi("board_vendor"),
        board: dmi("board_name"),
        firmware_vendor: dmi("bios_vendor"),
        firmware_version: dmi("bios_version"),
        firmware_date: dmi("bios_date"),
    }
}

/// What makers leave in the firmware when they forget to fill it in.
fn is_placeholder(text: &str) -> bool {
    const PLACEHOLDERS: [&str; 6] = [
        "Default string",
        "Not Specified",
        "None",
        "System Product Name",
        "System manufacturer",
        "To Be Filled By O.E.M.",
    ];
    PLACEHOLDERS
        .iter()
        .any(|placeholder| placeholder.eq_ignore_ascii_case(text))
}

/// How products and vendors of virtual machines begin, and what they stand for.
const HYPERVISORS: [(&str, &str); 14] = [
    ("Alibaba Cloud", "alibaba"),
    ("Amazon EC2", "amazon"),
    ("BHYVE", "bhyve"),
    ("Bochs", "bochs"),
    ("DigitalOcean", "digitalocean"),
    ("Google Compute Engine", "google"),
    ("Hetzner", "hetzner"),
    ("KVM", "kvm"),
    ("OpenStack", "openstack"),
    ("Parallels", "parallels"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("Virtual Machine", "hyperv"),
    ("VirtualBox", "virtualbox"),
];

/// The name of the hypervisor, by whom it gives itself out for.
fn hypervisor(tick: &Tick, hardware: &Hardware) -> Option<Arc<str>> {
    if let Some(kind) = sysfs::text(tick, "/sys/hypervisor/type") {
        return Some(kind);
    }
    if let Some(compatible) = sysfs::text(tick, &format!("{DEVICE_TREE}/hypervisor/compatible")) {
        return Some(compatible);
    }
    let texts = [
        &hardware.product,
        &hardware.vendor,
        &hardware.firmware_vendor,
    ];
    texts.into_iter().flatten().find_map(|text| {
        let row = HYPERVISORS
            .iter()
            .find(|(prefix, _)| text.starts_with(prefix));
        row.map(|&(_, name)| name.into())
    })
}
