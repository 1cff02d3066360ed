use std::sync::Arc;

use super::{CollectError, Collector, Cost};
use crate::{
    metric::{Disk, DiskInfo, DiskPath, Partition},
    source::{Entries, Tick, sysfs},
};

/// Reads [`DiskInfo`] from `/sys/block`. Tier 1.
///
/// Needs no privileges; serial numbers of SCSI disks are readable by root only.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskInfoCollector;

/// Sectors in `/sys` have 512 bytes, whatever the block size of the disk:
/// <https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-block>.
const SECTOR_BYTES: u64 = 512;
/// Major numbers: <https://docs.kernel.org/admin-guide/devices.html>.
const RAM_MAJOR: u32 = 1;
const FLOPPY_MAJOR: u32 = 2;
const LOOP_MAJOR: u32 = 7;
const CDROM_MAJOR: u32 = 11;

impl Collector for DiskInfoCollector {
    type Reading = DiskInfo;

    fn cost(&self) -> Cost {
        Cost::Moderate
    }

    fn collect(&mut self, tick: &Tick) -> Result<DiskInfo, CollectError> {
        let entries = tick.read_dir("/sys/block")?;
        let names = entries.sorted();
        let disks = names.iter().filter_map(|name| disk(tick, name, &names));
        Ok(DiskInfo {
            disks: disks.collect(),
        })
    }
}

fn disk(tick: &Tick, name: &str, all: &[&str]) -> Option<Disk> {
    let folder = format!("/sys/block/{name}");
    let at = |attribute: &str| format!("{folder}/{attribute}");
    let text = |attribute: &str| sysfs::text(tick, &at(attribute));
    // Attributes of the device itself, or of its vendor.
    let identity = |attribute: &str| sysfs::firmware_text(tick, &at(attribute));
    // The device may have been removed since the directory was read.
    let entries = tick.read_dir(&folder).ok()?;
    let device = sysfs::parsed(tick, &at("dev"), sysfs::parse_device_number);
    let major = device.map(|(major, _)| major);
    let backing_file = text("loop/backing_file");
    if major == Some(LOOP_MAJOR) && backing_file.is_none()
        || major == Some(RAM_MAJOR) && !was_used(tick, &at("stat"))
        // A path of native multipath is part of the disk that it leads to.
        || sysfs::flag(tick, &at("hidden")) == Some(true)
    {
        return None;
    }
    let paths: Vec<DiskPath> = all
        .iter()
        .filter(|path| is_path_of(path, name))
        .map(|path| DiskPath {
            name: Arc::from(*path),
            pci_address: pci_address(tick, &format!("/sys/block/{path}")),
        })
        .collect();
    let pci_address = pci_address(tick, &folder).or_else(|| common_address(&paths));
    let pci = |attribute: &str| {
        let address: &str = pci_address.as_deref()?;
        Some(format!("/sys/bus/pci/devices/{address}/{attribute}"))
    };
    let partitions = partitions(tick, &folder, name, &entries);
    Some(Disk {
        name: device_name(name),
        major,
        minor: device.map(|(_, minor)| minor),
        size_bytes: sectors(tick, &at("size"))
            .filter(|&bytes| is_size_known(major, bytes / SECTOR_BYTES)),
        // On the virtio and PCI buses this is the vendor ID.
        vendor: identity("device/vendor")
            .filter(|vendor| !vendor.starts_with("0x"))
            .or_else(|| mmc_vendor(tick, &folder)),
        model: identity("device/model").or_else(|| mmc_model(tick, &folder)),
        serial: identity("serial")
            .or_else(|| identity("device/serial"))
            .or_else(|| {
                sysfs::parsed(tick, &at("device/vpd_pg80"), scsi_serial)
                    .filter(|serial| !sysfs::is_placeholder(serial))
            }),
        wwid: text("wwid")
            .or_else(|| text("device/wwid"))
            .or_else(|| text("device/cid"))
            .filter(|wwid| is_wwid(wwid)),
        firmware: identity("device/firmware_rev")
            .or_else(|| identity("device/rev"))
            .or_else(|| identity("device/fwrev")),
        rotational: sysfs::flag(tick, &at("queue/rotational")),
        removable: sysfs::flag(tick, &at("removable")),
        read_only: sysfs::flag(tick, &at("ro")),
        logical_block_bytes: sysfs::nonzero(tick, &at("queue/logical_block_size")),
        physical_block_bytes: sysfs::nonzero(tick, &at("queue/physical_block_size")),
        scheduler: sysfs::parsed(tick, &at("queue/scheduler"), sysfs::parse_selected)
            .map(Into::into),
        nr_requests: sysfs::nonzero(tick, &at("queue/nr_requests")),
        driver: sysfs::link_name(tick, &at("device/driver"))
            .or_else(|| sysfs::link_name(tick, &pci("driver")?)),
        numa_node: pci("numa_node").and_then(|path| sysfs::number(tick, &path)),
        pci_address,
        paths,
        backing_file,
        mapper_name: text("dm/name"),
        raid_level: text("md/level"),
        lower: names_in(tick, &at("slaves")),
        upper: holders(tick, &folder, &partitions),
        partitions,
    })
}

fn pci_address(tick: &Tick, folder: &str) -> Option<Arc<str>> {
    let place = tick.read_link(folder).ok()?;
    Some(sysfs::parse_pci_address(place.to_str()?)?.into())
}

/// Whether a hidden disk is a path to this one: of the namespace `nvme0n1`
/// those are `nvme0c0n1`, `nvme0c1n1` and so on, with the number of the
/// controller: `nvme_mpath_set_disk_name()` of
/// <https://github.com/torvalds/linux/blob/v6.12/drivers/nvme/host/multipath.c#L60>.
fn is_path_of(path: &str, disk: &str) -> bool {
    let numbers = |text: &str| -> Option<(String, String)> {
        let (subsystem, namespace) = text.strip_prefix("nvme")?.split_once('n')?;
        Some((subsystem.to_owned(), namespace.to_owned()))
    };
    let (Some((disk, namespace)), Some((path, of_path))) = (numbers(disk), numbers(path)) else {
        return false;
    };
    path.split_once('c')
        .is_some_and(|(subsystem, _)| subsystem == disk && of_path == namespace)
}

/// The PCI address of all paths, if it is the same.
fn common_address(paths: &[DiskPath]) -> Option<Arc<str>> {
    let first = paths.first()?.pci_address.as_ref()?;
    let mut rest = paths.iter();
    rest.all(|path| path.pci_address.as_ref() == Some(first))
        .then(|| Arc::clone(first))
}

/// Whether the size that a driver reports is real.
fn is_size_known(major: Option<u32>, sectors: u64) -> bool {
    /// <https://github.com/torvalds/linux/blob/v6.12/drivers/scsi/sr.c#L680>.
    const NO_DISC: u64 = 0x1f_ffff;
    /// `MAX_DISK_SIZE`, doubled:
    /// <https://github.com/torvalds/linux/blob/v6.12/drivers/block/floppy.c#L4548>.
    const NO_FLOPPY: u64 = 8;
    match major {
        Some(CDROM_MAJOR) if sectors == NO_DISC => false,
        Some(FLOPPY_MAJOR) if sectors == NO_FLOPPY => false,
        // There is no medium, or the device is not configured.
        _ => sectors != 0,
    }
}

/// Whether a WWID is more than a type and zeros: `eui.0000000000000000`.
fn is_wwid(text: &str) -> bool {
    let number = text.split_once('.').map_or(text, |(_, number)| number);
    !number
        .bytes()
        .all(|byte| matches!(byte, b'0' | b'-' | b' '))
}

/// The vendor of an SD or eMMC device.
fn mmc_vendor(tick: &Tick, folder: &str) -> Option<Arc<str>> {
    let kind = sysfs::text(tick, &format!("{folder}/device/type"))?;
    let path = format!("{folder}/device/manfid");
    let number = sysfs::parsed(tick, &path, sysfs::parse_hexadecimal)?;
    sysfs::mmc_manufacturer(&kind, number).map(Into::into)
}

/// The model of an SD or eMMC device: the product name in its CID register. The
/// attribute `name` of other devices is something else.
/// <https://docs.kernel.org/driver-api/mmc/mmc-dev-attrs.html>
fn mmc_model(tick: &Tick, folder: &str) -> Option<Arc<str>> {
    tick.read(&format!("{folder}/device/cid")).ok()?;
    sysfs::firmware_text(tick, &format!("{folder}/device/name"))
}

fn partitions(tick: &Tick, folder: &str, disk: &str, entries: &Entries) -> Vec<Partition> {
    let partition = |name: &str| {
        let at = |attribute: &str| format!("{folder}/{name}/{attribute}");
        let uevent = tick.read(&at("uevent")).ok();
        Some(Partition {
            // No other directory of a disk has this attribute.
            number: sysfs::number(tick, &at("partition"))?,
            name: device_name(name),
            start_bytes: sectors(tick, &at("start")),
            size_bytes: sectors(tick, &at("size")),
            read_only: sysfs::flag(tick, &at("ro")),
            label: uevent
                .as_deref()
                .and_then(|uevent| sysfs::uevent_value(uevent, "PARTNAME"))
                .map(Into::into),
            upper: names_in(tick, &at("holders")),
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

/// The name of a device, from that of its directory: `/` in a device name is
/// `!` in a file name.
fn device_name(folder: &str) -> Arc<str> {
    folder.replace('!', "/").into()
}

fn names_in(tick: &Tick, folder: &str) -> Vec<Arc<str>> {
    let Ok(entries) = tick.read_dir(folder) else {
        return Vec::new();
    };
    entries.sorted().into_iter().map(device_name).collect()
}

/// The holders of a disk and of its partitions, each once: a volume may use
/// several partitions of a disk.
fn holders(tick: &Tick, folder: &str, partitions: &[Partition]) -> Vec<Arc<str>> {
    let mut holders = names_in(tick, &format!("{folder}/holders"));
    for holder in partitions.iter().flat_map(|partition| &partition.upper) {
        if !holders.contains(holder) {
            holders.push(Arc::clone(holder));
        }
    }
    holders
}

/// Whether the device was ever read or written: whether any counter is not 0.
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
    fn a_size_that_a_driver_makes_up_is_unknown() {
        assert!(!is_size_known(Some(CDROM_MAJOR), 0x1f_ffff));
        assert!(is_size_known(Some(CDROM_MAJOR), 0x20_0000));
        assert!(is_size_known(Some(8), 0x1f_ffff));
        assert!(!is_size_known(Some(FLOPPY_MAJOR), 8));
        assert!(is_size_known(Some(FLOPPY_MAJOR), 2880));
        assert!(!is_size_known(Some(43), 0));
    }

    #[test]
    fn the_paths_of_a_namespace_are_known_by_their_names() {
        assert!(is_path_of("nvme0c0n1", "nvme0n1"));
        assert!(is_path_of("nvme10c3n12", "nvme10n12"));
        for (path, disk) in [
            ("nvme0n1", "nvme0n1"),
            ("nvme1c0n1", "nvme0n1"),
            ("nvme0c0n1", "nvme0n11"),
            ("nvme0c0n11", "nvme0n1"),
            ("sda", "nvme0n1"),
            ("nvme0c0n1", "sda"),
        ] {
            assert!(!is_path_of(path, disk), "{path} {disk}");
        }
    }

    #[test]
    fn paths_by_two_controllers_have_no_common_address() {
        let path = |address: Option<&str>| DiskPath {
            name: "nvme0c0n1".into(),
            pci_address: address.map(Into::into),
        };
        let (first, second) = (path(Some("0000:02:00.0")), path(Some("0000:03:00.0")));
        let same = [first.clone(), first.clone()];
        assert_eq!(common_address(&same).as_deref(), Some("0000:02:00.0"));
        assert_eq!(common_address(&[first.clone(), second]), None);
        assert_eq!(common_address(&[first, path(None)]), None);
        assert_eq!(common_address(&[]), None);
    }

    #[test]
    fn a_wwid_of_zeros_is_none() {
        assert!(is_wwid("eui.002538b411b2cee8"));
        assert!(is_wwid("t10.ATA     QEMU HARDDISK"));
        assert!(!is_wwid("eui.0000000000000000"));
        assert!(!is_wwid("uuid.00000000-0000-0000-0000-000000000000"));
    }

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
