use std::sync::Arc;

use super::{CollectError, Collector, Cost};
use crate::{
    metric::{Disk, DiskInfo, Partition},
    source::{Entries, Tick, sysfs},
};

/// Reads [`DiskInfo`] from `/sys/block`. Tier 1.
///
/// Needs no rights; the serial numbers of SCSI disks are shown to root only.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskInfoCollector;

/// `/sys` counts in sectors of 512 bytes, whatever those of the disk are:
/// <https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-block>.
const SECTOR_BYTES: u64 = 512;
/// The major numbers of RAM disks and loop devices:
/// <https://docs.kernel.org/admin-guide/devices.html>.
const RAM_MAJOR: u32 = 1;
const LOOP_MAJOR: u32 = 7;

impl Collector for DiskInfoCollector {
    type Reading = DiskInfo;

    fn sources(&self) -> &'static [&'static str] {
        &[
            "/sys/block/*",
            "/sys/block/*/*",
            "/sys/block/*/device/*",
            "/sys/block/*/queue/*",
            "/sys/bus/pci/devices/*/driver",
            "/sys/bus/pci/devices/*/numa_node",
        ]
    }

    fn cost(&self) -> Cost {
        Cost::Moderate
    }

    fn collect(&mut self, tick: &Tick) -> Result<DiskInfo, CollectError> {
        let entries = tick.read_dir("/sys/block")?;
        let disks = entries
            .sorted()
            .into_iter()
            .filter_map(|name| disk(tick, name));
        Ok(DiskInfo {
            disks: disks.collect(),
        })
    }
}

fn disk(tick: &Tick, name: &str) -> Option<Disk> {
    let folder = format!("/sys/block/{name}");
    let at = |attribute: &str| format!("{folder}/{attribute}");
    let text = |attribute: &str| sysfs::text(tick, &at(attribute));
    // The device may have gone since the directory was read.
    let entries = tick.read_dir(&folder).ok()?;
    let device = sysfs::parsed(tick, &at("dev"), sysfs::parse_device_number);
    let major = device.map(|(major, _)| major);
    let backing_file = text("loop/backing_file");
    if major == Some(LOOP_MAJOR) && backing_file.is_none()
        || major == Some(RAM_MAJOR) && !was_used(tick, &at("stat"))
    {
        return None;
    }
    let place = tick.read_link(&folder).ok();
    let pci_address = place
        .as_ref()
        .and_then(|place| sysfs::parse_pci_address(place.to_str()?))
        .map(Arc::from);
    let pci = |attribute: &str| {
        let address: &str = pci_address.as_deref()?;
        Some(format!("/sys/bus/pci/devices/{address}/{attribute}"))
    };
    let partitions = partitions(tick, &folder, name, &entries);
    let mut held_by = names_in(tick, &at("holders"));
    for partition in &partitions {
        held_by.extend(names_in(tick, &at(&format!("{}/holders", partition.name))));
    }
    Some(Disk {
        // A name may hold a slash, which a file name cannot.
        name: name.replace('!', "/").into(),
        major,
        minor: device.map(|(_, minor)| minor),
        size_bytes: sectors(tick, &at("size")),
        // On the virtio and the PCI bus this is the number of the vendor.
        vendor: text("device/vendor").filter(|vendor| !vendor.starts_with("0x")),
        model: text("device/model"),
        serial: text("serial")
            .or_else(|| text("device/serial"))
            .or_else(|| sysfs::parsed(tick, &at("device/vpd_pg80"), scsi_serial)),
        wwid: text("wwid").or_else(|| text("device/wwid")),
        firmware: text("device/firmware_rev").or_else(|| text("device/rev")),
        rotational: sysfs::flag(tick, &at("queue/rotational")),
        removable: sysfs::flag(tick, &at("removable")),
        read_only: sysfs::flag(tick, &at("ro")),
        logical_block_bytes: sysfs::number(tick, &at("queue/logical_block_size")),
        physical_block_bytes: sysfs::number(tick, &at("queue/physical_block_size")),
        scheduler: sysfs::parsed(tick, &at("queue/scheduler"), sysfs::parse_selected)
            .map(Into::into),
        queue_depth: sysfs::number(tick, &at("queue/nr_requests")),
        driver: sysfs::link_name(tick, &at("device/driver"))
            .or_else(|| sysfs::link_name(tick, &pci("driver")?)),
        numa_node: pci("numa_node").and_then(|path| sysfs::number(tick, &path)),
        pci_address,
        backing_file,
        mapper_name: text("dm/name"),
        raid_level: text("md/level"),
        made_of: names_in(tick, &at("slaves")),
        held_by,
        partitions,
    })
}

fn partitions(tick: &Tick, folder: &str, disk: &str, entries: &Entries) -> Vec<Partition> {
    let partition = |name: &str| {
        let at = |attribute: &str| format!("{folder}/{name}/{attribute}");
        let uevent = tick.read(&at("uevent")).ok();
        Some(Partition {
            // No other directory of a disk has this attribute.
            number: sysfs::number(tick, &at("partition"))?,
            name: name.replace('!', "/").into(),
            start_bytes: sectors(tick, &at("start")),
            size_bytes: sectors(tick, &at("size")),
            read_only: sysfs::flag(tick, &at("ro")),
            label: uevent
                .as_deref()
                .and_then(|uevent| sysfs::uevent_value(uevent, "PARTNAME"))
                .map(Into::into),
        })
    };
    let mut partitions: Vec<Partition> = entries
        .iter()
        .filter(|name| name.starts_with(disk))
        .filter_map(partition)
        .collect();
    partitions.sort_by_key(|partition| partition.number);
    partitions
}

fn sectors(tick: &Tick, path: &str) -> Option<u64> {
    sysfs::number::<u64>(tick, path)?.checked_mul(SECTOR_BYTES)
}

fn names_in(tick: &Tick, folder: &str) -> Vec<Arc<str>> {
    let Ok(entries) = tick.read_dir(folder) else {
        return Vec::new();
    };
    entries.sorted().into_iter().map(Arc::from).collect()
}

/// Whether anything was ever read or written: whether any count is not 0.
fn was_used(tick: &Tick, stat: &str) -> bool {
    tick.read(stat)
        .is_ok_and(|bytes| bytes.iter().any(|byte| matches!(byte, b'1'..=b'9')))
}

/// The serial number in the SCSI page "unit serial number": four bytes, the
/// last of which is the length, and the text.
fn scsi_serial(page: &[u8]) -> Option<Arc<str>> {
    let length = usize::from(*page.get(3)?);
    let serial = page.get(4..)?;
    let serial = String::from_utf8_lossy(serial.get(..length).unwrap_or(serial));
    let serial =
        serial.trim_matches(|character: char| character.is_whitespace() || character == '\0');
    (!serial.is_empty()).then(|| serial.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scsi_serial_is_as_long_as_its_page_says() {
        assert_eq!(
            scsi_serial(b"\x00\x80\x00\x06 AB12 rest").as_deref(),
            Some("AB12")
        );
        assert_eq!(scsi_serial(b"\x00\x80\x00\xffAB").as_deref(), Some("AB"));
        assert_eq!(scsi_serial(b"\x00\x80\x00\x00"), None);
        assert_eq!(scsi_serial(b""), None);
    }
}
