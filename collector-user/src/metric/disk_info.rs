use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Kind, MetricInfo, Reading, Tier,
    heap::{OwnedBytes, owned_bytes},
};

/// The block devices and their partitions.
///
/// Source: `/sys/block`. Loop devices without a file behind them, and RAM
/// disks that were never used, are left out.
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
    /// The first part of its number.
    pub major: Option<u32>,
    /// The second part of its number.
    pub minor: Option<u32>,
    /// Its size; 0 without a medium.
    pub size_bytes: Option<u64>,
    /// Who made it.
    pub vendor: Option<Arc<str>>,
    /// What it calls itself.
    pub model: Option<Arc<str>>,
    /// Its serial number.
    pub serial: Option<Arc<str>>,
    /// A name of it that is like no other in the world.
    pub wwid: Option<Arc<str>>,
    /// The version of its firmware.
    pub firmware: Option<Arc<str>>,
    /// Whether it turns.
    pub rotational: Option<bool>,
    /// Whether its medium can be taken out.
    pub removable: Option<bool>,
    /// Whether it cannot be written to.
    pub read_only: Option<bool>,
    /// The smallest piece that can be addressed.
    pub logical_block_bytes: Option<u32>,
    /// The smallest piece that it writes at once.
    pub physical_block_bytes: Option<u32>,
    /// The I/O scheduler in use.
    pub scheduler: Option<Arc<str>>,
    /// How many requests its queue takes.
    pub queue_depth: Option<u32>,
    /// The driver of the device; of a virtual one there is none.
    pub driver: Option<Arc<str>>,
    /// Where on the PCI bus it, or its controller, is: `0000:02:00.0`.
    pub pci_address: Option<Arc<str>>,
    /// The NUMA node to which its controller is attached.
    pub numa_node: Option<u32>,
    /// The file behind a loop device.
    pub backing_file: Option<Arc<str>>,
    /// The name under `/dev/mapper`.
    pub mapper_name: Option<Arc<str>>,
    /// The level of a software RAID: `raid1`.
    pub raid_level: Option<Arc<str>>,
    /// The devices that it is made of.
    pub made_of: Vec<Arc<str>>,
    /// The devices that are made of it, or of one of its partitions.
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
}

impl OwnedBytes for Disk {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; name, vendor, model, serial, wwid, firmware, scheduler, driver,
            pci_address, backing_file, mapper_name, raid_level, made_of, held_by, partitions)
    }
}

impl OwnedBytes for Partition {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; name, label)
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
