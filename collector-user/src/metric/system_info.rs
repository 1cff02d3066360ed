use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Kind, MetricInfo, Reading, Tier,
    heap::{OwnedBytes, owned_bytes},
};

/// What this machine is, and what runs on it.
///
/// Sources: `/proc/sys/kernel`, `/proc/stat`, `/etc/os-release`,
/// `/etc/machine-id`, and what the firmware says: `/sys/class/dmi/id` or the
/// device tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// The name of the host; `None` until one is set.
    pub hostname: Option<Arc<str>>,
    /// The machine ID, which the host was given when it was installed: 32
    /// hexadecimal digits. `None` where it is not set yet, or is one that no
    /// host can have.
    pub machine_id: Option<Arc<str>>,
    /// The boot ID: new at each boot.
    pub boot_id: Option<Arc<str>>,
    /// When the machine started: seconds since 1970, in UTC.
    pub boot_time_s: Option<u64>,
    /// `uname -r`.
    pub kernel_release: Option<Arc<str>>,
    /// `uname -v`: how and when the kernel was built.
    pub kernel_version: Option<Arc<str>>,
    /// `uname -m`.
    pub architecture: Option<Arc<str>>,
    /// The size of a page of memory; `None` of a captured tree.
    pub page_size_bytes: Option<u64>,
    /// How many clock ticks there are in a second, in what `/proc` shows.
    pub clock_ticks_per_second: u64,
    /// The distribution.
    pub os: Option<OperatingSystem>,
    /// What the firmware says of the machine.
    pub hardware: Hardware,
    /// Whether this is a virtual machine; `None` where nothing tells. A control
    /// domain (dom0 of Xen, the root partition of Hyper-V) is none.
    pub virtual_machine: Option<bool>,
    /// Of a virtual machine: the hypervisor, or the cloud, as far as anything
    /// names it.
    pub hypervisor: Option<Arc<str>>,
}

/// The distribution, from its `os-release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatingSystem {
    /// `ID`: `debian`.
    pub id: Option<Arc<str>>,
    /// `VERSION_ID`: `13`.
    pub version_id: Option<Arc<str>>,
    /// `PRETTY_NAME`: for people.
    pub pretty_name: Option<Arc<str>>,
}

/// What the firmware says of the machine; `None` where it says nothing, or has
/// a placeholder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// Who made the machine.
    pub vendor: Option<Arc<str>>,
    /// The product; on boards with a device tree, its model.
    pub product: Option<Arc<str>>,
    /// The version of the product.
    pub product_version: Option<Arc<str>>,
    /// Who made the main board.
    pub board_vendor: Option<Arc<str>>,
    /// The main board.
    pub board: Option<Arc<str>>,
    /// Who made the firmware.
    pub firmware_vendor: Option<Arc<str>>,
    /// The version of the firmware.
    pub firmware_version: Option<Arc<str>>,
    /// The release date of the firmware, as it says.
    pub firmware_date: Option<Arc<str>>,
}

impl OwnedBytes for OperatingSystem {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; id, version_id, pretty_name)
    }
}

impl OwnedBytes for Hardware {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; vendor, product, product_version, board_vendor, board,
            firmware_vendor, firmware_version, firmware_date)
    }
}

impl Reading for SystemInfo {
    const METRIC: MetricInfo = MetricInfo {
        name: "system_info",
        tier: Tier::Hardware,
        kind: Kind::State,
        help: "Host, kernel, distribution, firmware and hypervisor",
    };

    fn heap_bytes(&self) -> usize {
        owned_bytes!(self; hostname, machine_id, boot_id, kernel_release, kernel_version,
            architecture, os, hardware, hypervisor)
    }
}
