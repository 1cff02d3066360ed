use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Reading, Record};

/// Host, kernel, distribution, firmware and hypervisor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Reading)]
#[metric(
    name = "system_info",
    tier = "hardware",
    prefix = "host_system",
    sources(
        "/etc/machine-id",
        "/etc/os-release",
        "/proc/cpuinfo",
        "/proc/stat",
        "/proc/sys/kernel/*",
        "/sys/class/dmi/id/*",
        "/sys/firmware/devicetree/base/*",
        "/sys/firmware/devicetree/base/hypervisor/compatible",
        "/proc/sysinfo",
        "/proc/xen/capabilities",
        "/sys/class/misc/*",
        "/sys/devices/system/clocksource/clocksource0/available_clocksource",
        "/sys/firmware/dmi/entries/0-0/raw",
        "/sys/hypervisor/*",
    )
)]
pub struct SystemInfo {
    /// Host name; `None` until one is set.
    #[field(1, label)]
    pub hostname: Option<Arc<str>>,
    /// Machine ID (`/etc/machine-id`): 32 hexadecimal digits. `None` where it is not set yet, or is
    /// not a valid one.
    #[field(2, label)]
    pub machine_id: Option<Arc<str>>,
    /// Boot ID: new at each boot.
    #[field(3, label)]
    pub boot_id: Option<Arc<str>>,
    /// Boot time: seconds since 1970, in UTC.
    #[field(4)]
    pub boot_time_s: Option<u64>,
    /// Kernel release (`uname -r`).
    #[field(5, label)]
    pub kernel_release: Option<Arc<str>>,
    /// Kernel version (`uname -v`): how and when the kernel was built.
    #[field(6, label)]
    pub kernel_version: Option<Arc<str>>,
    /// Architecture (`uname -m`).
    #[field(7, label)]
    pub architecture: Option<Arc<str>>,
    /// Page size; `None` for a captured tree.
    #[field(8)]
    pub page_size_bytes: Option<u64>,
    /// Clock ticks per second in `/proc` (`USER_HZ`).
    #[field(9)]
    pub clock_ticks_per_second: u64,
    /// Distribution.
    #[field(10)]
    pub os: Option<OperatingSystem>,
    /// Hardware, as the firmware describes it.
    #[field(11)]
    pub hardware: Hardware,
    /// Whether this is a virtual machine; `None` where it cannot be determined. A control domain
    /// (dom0 of Xen, the root partition of Hyper-V) is not one.
    #[field(12)]
    pub virtual_machine: Option<bool>,
    /// Hypervisor or cloud of a virtual machine, where it can be determined.
    #[field(13, label)]
    pub hypervisor: Option<Arc<str>>,
}

/// The distribution, from `os-release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_os")]
pub struct OperatingSystem {
    /// `ID`: `debian`.
    #[field(1, label)]
    pub id: Option<Arc<str>>,
    /// `VERSION_ID`: `13`.
    #[field(2, label)]
    pub version_id: Option<Arc<str>>,
    /// `PRETTY_NAME`: `Debian GNU/Linux 13 (trixie)`.
    #[field(3, label)]
    pub pretty_name: Option<Arc<str>>,
}

/// The hardware, as the firmware describes it (DMI or device tree); a placeholder is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_hardware")]
pub struct Hardware {
    /// Vendor of the machine.
    #[field(1, label)]
    pub vendor: Option<Arc<str>>,
    /// Product name; with a device tree, its model.
    #[field(2, label)]
    pub product: Option<Arc<str>>,
    /// Product version.
    #[field(3, label)]
    pub product_version: Option<Arc<str>>,
    /// Vendor of the main board.
    #[field(4, label)]
    pub board_vendor: Option<Arc<str>>,
    /// Main board.
    #[field(5, label)]
    pub board: Option<Arc<str>>,
    /// Vendor of the firmware.
    #[field(6, label)]
    pub firmware_vendor: Option<Arc<str>>,
    /// Firmware version.
    #[field(7, label)]
    pub firmware_version: Option<Arc<str>>,
    /// Firmware release date, as the firmware formats it.
    #[field(8, label)]
    pub firmware_date: Option<Arc<str>>,
}
