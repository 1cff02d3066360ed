use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Reading, Record};

/// Block devices, their request queues, partitions, slaves and holders.
///
/// Loop devices without a backing file, RAM disks that were never used, and the hidden disks that
/// are paths of native NVMe multipath are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Reading)]
#[metric(
    name = "disk_info",
    tier = "hardware",
    prefix = "host_disks",
    sources(
        "/sys/block/*",
        "/sys/block/*/*",
        "/sys/block/*/device/*",
        "/sys/block/*/queue/*",
        "/sys/bus/pci/devices/*/driver",
        "/sys/bus/pci/devices/*/numa_node",
    )
)]
pub struct DiskInfo {
    /// The block devices, by name.
    #[field(1)]
    pub disks: Vec<Disk>,
}

/// One block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_disk")]
pub struct Disk {
    /// Name under `/dev`.
    #[field(1, key)]
    pub name: Arc<str>,
    /// Major number.
    #[field(2, label)]
    pub major: Option<u32>,
    /// Minor number.
    #[field(3, label)]
    pub minor: Option<u32>,
    /// Size; `None` without a medium, or before the device is configured.
    #[field(4)]
    pub size_bytes: Option<u64>,
    /// Vendor.
    #[field(5, label)]
    pub vendor: Option<Arc<str>>,
    /// Model; of an SD or eMMC device the product name.
    #[field(6, label)]
    pub model: Option<Arc<str>>,
    /// Serial number.
    #[field(7, label)]
    pub serial: Option<Arc<str>>,
    /// World Wide Identifier (WWID); of an SD or eMMC device the CID register.
    #[field(8, label)]
    pub wwid: Option<Arc<str>>,
    /// Firmware revision.
    #[field(9, label)]
    pub firmware: Option<Arc<str>>,
    /// Whether the device is rotational (HDD).
    #[field(10)]
    pub rotational: Option<bool>,
    /// Whether the medium is removable.
    #[field(11)]
    pub removable: Option<bool>,
    /// Whether the device is read-only.
    #[field(12)]
    pub read_only: Option<bool>,
    /// Logical block size: the smallest addressable unit.
    #[field(13)]
    pub logical_block_bytes: Option<u32>,
    /// Physical block size: the smallest unit written without read-modify-write.
    #[field(14)]
    pub physical_block_bytes: Option<u32>,
    /// I/O scheduler in use.
    #[field(15, label)]
    pub scheduler: Option<Arc<str>>,
    /// Size of the request queue (`nr_requests`).
    #[field(16)]
    pub nr_requests: Option<u32>,
    /// Driver; `None` for a virtual device.
    #[field(17, label)]
    pub driver: Option<Arc<str>>,
    /// PCI address of the device or its controller: `0000:02:00.0`. With several paths, only if
    /// they share it.
    #[field(18, label)]
    pub pci_address: Option<Arc<str>>,
    /// NUMA node of its controller.
    #[field(19, label)]
    pub numa_node: Option<u32>,
    /// Paths of native NVMe multipath.
    #[field(20)]
    pub paths: Vec<DiskPath>,
    /// Backing file of a loop device.
    #[field(21)]
    pub backing_file: Option<Arc<str>>,
    /// Device-mapper name, under `/dev/mapper`.
    #[field(22, label)]
    pub mapper_name: Option<Arc<str>>,
    /// Level of an MD RAID: `raid1`.
    #[field(23, label)]
    pub raid_level: Option<Arc<str>>,
    /// Slaves (sysfs): the devices that it is built on.
    #[field(24)]
    #[doc(alias = "slaves")]
    pub lower: Vec<Arc<str>>,
    /// Holders (sysfs): the devices built on it or on its partitions, each once.
    #[field(25)]
    #[doc(alias = "holders")]
    pub upper: Vec<Arc<str>>,
    /// Partitions, by number.
    #[field(26)]
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_disk_partition")]
pub struct Partition {
    /// Name under `/dev`.
    #[field(1, key)]
    pub name: Arc<str>,
    /// Partition number.
    #[field(2, label)]
    pub number: u32,
    /// Start on the device.
    #[field(3)]
    pub start_bytes: Option<u64>,
    /// Size.
    #[field(4)]
    pub size_bytes: Option<u64>,
    /// Whether it is read-only.
    #[field(5)]
    pub read_only: Option<bool>,
    /// Name in the partition table (`PARTNAME`).
    #[field(6, label)]
    pub label: Option<Arc<str>>,
    /// Holders (sysfs): the devices built on it.
    #[field(7)]
    #[doc(alias = "holders")]
    pub upper: Vec<Arc<str>>,
}

/// One path of native NVMe multipath: a hidden disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_disk_path")]
pub struct DiskPath {
    /// Name in `/sys/block`: `nvme0c1n1`.
    #[field(1, key)]
    pub name: Arc<str>,
    /// PCI address of its controller.
    #[field(2, label)]
    pub pci_address: Option<Arc<str>>,
}
