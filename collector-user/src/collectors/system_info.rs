mod virtualization;

use std::sync::Arc;

use self::virtualization::Virtualization;
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
/// Needs no privileges: serial numbers and the UUID, which are readable by root
/// only, are not read; whether an arm64 machine without a device tree is a
/// virtual one may be known to root only. A missing value and a placeholder of
/// the vendor are `None`; the collection never fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemInfoCollector;

const DMI: &str = "/sys/class/dmi/id";
const DEVICE_TREE: &str = "/sys/firmware/devicetree/base";
/// `UTS_NODENAME`, the host name until one is set:
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/uts.h#L13>.
const UNSET_HOSTNAME: &str = "(none)";

impl Collector for SystemInfoCollector {
    type Reading = SystemInfo;

    fn collect(&mut self, tick: &Tick) -> Result<SystemInfo, CollectError> {
        let kernel = |name: &str| sysfs::text(tick, &format!("/proc/sys/kernel/{name}"));
        let page_size_bytes = tick.sources().page_size_bytes();
        // The page size and the architecture are known of the running kernel
        // only.
        let machine = || {
            page_size_bytes?;
            let uname = rustix::system::uname();
            uname.machine().to_str().ok().map(Arc::from)
        };
        let os = tick
            .read("/etc/os-release")
            .or_else(|_| tick.read("/usr/lib/os-release"));
        let hardware = hardware(tick);
        let cpus = tick
            .read("/proc/cpuinfo")
            .map(|bytes| cpuinfo::parse(&bytes))
            .unwrap_or_default();
        let kernel_release = kernel("osrelease");
        let virtualization =
            Virtualization::detect(tick, &cpus, &hardware, kernel_release.as_deref());
        Ok(SystemInfo {
            hostname: kernel("hostname").filter(|name| **name != *UNSET_HOSTNAME),
            machine_id: sysfs::parsed(tick, "/etc/machine-id", sysfs::parse_machine_id)
                .map(Into::into),
            boot_id: kernel("random/boot_id"),
            boot_time_s: tick
                .parse("/proc/stat", proc_stat::parse)
                .ok()
                .and_then(|stat| stat.boot_time_s),
            kernel_release,
            kernel_version: kernel("version"),
            // Since Linux 6.1.
            architecture: kernel("arch").or_else(machine),
            page_size_bytes,
            clock_ticks_per_second: CLOCK_TICKS_PER_SECOND,
            os: os.ok().map(|bytes| os_release::parse(&bytes)),
            hardware,
            virtual_machine: virtualization.is_virtual_machine,
            hypervisor: virtualization.hypervisor,
        })
    }
}

fn hardware(tick: &Tick) -> Hardware {
    let dmi = |name: &str| sysfs::firmware_text(tick, &format!("{DMI}/{name}"));
    let model = || sysfs::firmware_text(tick, &format!("{DEVICE_TREE}/model"));
    Hardware {
        vendor: dmi("sys_vendor"),
        product: dmi("product_name").or_else(model),
        product_version: dmi("product_version"),
        board_vendor: dmi("board_vendor"),
        board: dmi("board_name"),
        firmware_vendor: dmi("bios_vendor"),
        firmware_version: dmi("bios_version"),
        firmware_date: dmi("bios_date"),
    }
}
