use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Kind, MetricInfo, Reading, Tier,
    heap::{OwnedBytes, owned_bytes},
};

/// The block devices and their partitions.
///
/// Source: `/sys/block`. Loop devices without a backing file, RAM disks that
/// were never used, and the hidden disks that are paths of native NVMe
/// multipath are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskInfo {
    /// The devices, by name.
    pub disks: Vec<Disk>,
}

/// One block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its name under `/dev`.
    pub name: Arc<str>,
    /// Its major number.
    pub major: Option<u32>,
    /// Its minor number.
    pub minor: Option<u32>,
    /// Its size; `None` without a medium, or before it is set up.
    pub size_bytes: Option<u64>,
    /// Its vendor.
    pub vendor: Option<Arc<str>>,
    /// Its model; of an SD or eMMC device the name of the product.
    pub model: Option<Arc<str>>,
    /// Its serial number.
    pub serial: Option<Arc<str>>,
    /// World Wide Identifier (WWID); of an SD or eMMC device the register CID.
    pub wwid: Option<Arc<str>>,
    /// The version of its firmware.
    pub firmware: Option<Arc<str>>,
    /// Whether the device is rotational (HDD).
    pub rotational: Option<bool>,
    /// Whether its medium can be taken out.
    pub removable: Option<bool>,
    /// Whether it cannot be written to.
    pub read_only: Option<bool>,
    /// Logical block size: the smallest unit that can be addressed.
    pub logical_block_bytes: Option<u32>,
    /// Physical block size: the smallest unit that it can write without a
    /// read-modify-write.
    pub physical_block_bytes: Option<u32>,
    /// The I/O scheduler in use.
    pub scheduler: Option<Arc<str>>,
    /// Size of the request queue (`nr_requests`).
    pub queue_depth: Option<u32>,
    /// The driver of the device; of a virtual one there is none.
    pub driver: Option<Arc<str>>,
    /// The PCI address of it or its controller: `0000:02:00.0`. Of a disk with
    /// several paths only if they share it.
    pub pci_address: Option<Arc<str>>,
    /// The NUMA node to which its controller is attached.
    pub numa_node: Option<u32>,
    /// The paths of native NVMe multipath.
    pub paths: Vec<DiskPath>,
    /// The backing file of a loop device.
    pub backing_file: Option<Arc<str>>,
    /// The name under `/dev/mapper`.
    pub mapper_name: Option<Arc<str>>,
    /// The level of a software RAID: `raid1`.
    pub raid_level: Option<Arc<str>>,
    /// Its slaves: the devices that it is made of.
    pub made_of: Vec<Arc<str>>,
    /// Its holders, and those of its partitions, each once.
    pub held_by: Vec<Arc<str>>,
    /// Its partitions, in the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// A part of a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its name under `/dev`.
    pub name: Arc<str>,
    /// Its number on the device.
    pub number: u32,
    /// Where it begins.
    pub start_bytes: Option<u64>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// Whether it cannot be written to.
    pub read_only: Option<bool>,
    /// The name that its partition table gives it.
    pub label: Option<Arc<str>>,
    /// Its holders.
    pub held_by: Vec<Arc<str>>,
}

/// One path to a disk with native NVMe multipath: a hidden disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPath {
    /// Its name in `/sys/block`: `nvme0c1n1`.
    pub name: Arc<str>,
    /// The PCI address of its controller.
    pub pci_address: Option<Arc<str>>,
}

impl OwnedBytes for Disk {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; name, vendor, model, serial, wwid, firmware, scheduler, driver,
            pci_address, paths, backing_file, mapper_name, raid_level, made_of, held_by, partitions)
    }
}

impl OwnedBytes for Partition {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; name, label, held_by)
    }
}

impl OwnedBytes for DiskPath {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; name, pci_address)
    }
}

impl Reading for DiskInfo {
    const METRIC: MetricInfo = MetricInfo {
        name: "disk_info",
        tier: Tier::Hardware,
        kind: Kind::State,
        help: "Block devices, their queues, their partitions, and what is made of what",
    };

    fn heap_bytes(&self) -> usize {
        self.disks.owned_bytes()
    }
}
