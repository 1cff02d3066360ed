use std::sync::Arc;

use super::{CollectError, Collector, Cost};
use crate::{
    metric::{InterfaceKind, NetworkInfo, NetworkInterface},
    source::{Entries, Tick, sysfs},
};

/// Reads [`NetworkInfo`] from `/sys/class/net`. Tier 1.
///
/// Needs no privileges. In a container with the `/sys` of the host it shows the
/// interfaces of the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkInfoCollector;

const INTERFACES: &str = "/sys/class/net";

impl Collector for NetworkInfoCollector {
    type Reading = NetworkInfo;

    fn cost(&self) -> Cost {
        Cost::Moderate
    }

    fn collect(&mut self, tick: &Tick) -> Result<NetworkInfo, CollectError> {
        let entries = tick.read_dir(INTERFACES)?;
        let mut interfaces: Vec<NetworkInterface> = entries
            .sorted()
            .into_iter()
            .filter_map(|name| interface(tick, name))
            .collect();
        interfaces.sort_by_key(|interface| interface.index);
        Ok(NetworkInfo { interfaces })
    }
}

fn interface(tick: &Tick, name: &str) -> Option<NetworkInterface> {
    let folder = format!("{INTERFACES}/{name}");
    let at = |attribute: &str| format!("{folder}/{attribute}");
    let text = |attribute: &str| sysfs::text(tick, &at(attribute));
    // Not every entry is an interface: `bonding_masters` is a file.
    let entries = tick.read_dir(&folder).ok()?;
    let place = tick.read_link(&folder).ok();
    let pci_address: Option<Arc<str>> = place
        .as_ref()
        .and_then(|place| sysfs::parse_pci_address(place.to_str()?))
        .map(Arc::from);
    let numa_node = pci_address.as_ref().and_then(|address| {
        sysfs::number(tick, &format!("/sys/bus/pci/devices/{address}/numa_node"))
    });
    let queues = tick.read_dir(&at("queues")).ok();
    let queues = |prefix: &str| {
        let names = queues.as_ref()?.iter();
        Some(names.filter(|name| name.starts_with(prefix)).count() as u32)
    };
    let index = sysfs::number(tick, &at("ifindex"));
    let flags = sysfs::parsed(tick, &at("flags"), sysfs::parse_hexadecimal);
    let lower = entries.sorted();
    let lower = lower.iter().filter_map(|name| name.strip_prefix("lower_"));
    Some(NetworkInterface {
        name: name.into(),
        index,
        kind: kind(tick, &folder, &entries),
        // Loopback shows zeros: it has no hardware address.
        mac: text("address").filter(|mac| mac.bytes().any(|byte| !matches!(byte, b'0' | b':'))),
        mtu_bytes: sysfs::number(tick, &at("mtu")),
        // `IFF_UP`.
        admin_up: flags.map(|flags| flags & 1 != 0),
        operstate: text("operstate"),
        carrier: sysfs::flag(tick, &at("carrier")),
        speed_bits_per_second: speed_megabits(tick, &folder)
            .and_then(|megabits| megabits.checked_mul(1_000_000)),
        duplex: text("duplex").filter(|duplex| matches!(&**duplex, "full" | "half")),
        driver: sysfs::link_name(tick, &at("device/driver")),
        pci_address,
        numa_node,
        rx_queues: queues("rx-"),
        tx_queues: queues("tx-"),
        // 0: a tunnel that is not bound to a device.
        link_index: sysfs::nonzero(tick, &at("iflink")).filter(|&link| Some(link) != index),
        master: sysfs::link_name(tick, &at("master")),
        lower: lower.map(Arc::from).collect(),
    })
}

/// The link speed in Mbit/s, without the placeholders of drivers for an unknown
/// speed: `SPEED_UNKNOWN` is -1, unsigned 4,294,967,295, and was 65,535 when a
/// speed had 16 bits; some drivers report 0.
fn speed_megabits(tick: &Tick, folder: &str) -> Option<u64> {
    const UNKNOWN: [u64; 3] = [0, u16::MAX as u64, u32::MAX as u64];
    sysfs::number(tick, &format!("{folder}/speed")).filter(|speed| !UNKNOWN.contains(speed))
}

/// The kind of an interface.
///
/// Most drivers set it as `DEVTYPE`; loopback and tunnels have a hardware type
/// of their own, a TUN or TAP its flags, and a device a link to itself. A veth
/// has none of these, and neither have Ethernet tunnels (gretap, erspan): all
/// are Ethernet without a device and without lower devices, and may be linked
/// to another interface index than their own. Two ends of a veth in one network
/// namespace are linked to each other, and a veth that is up has the speed that
/// its driver sets for every veth, which no tunnel has.
fn kind(tick: &Tick, folder: &str, entries: &Entries) -> InterfaceKind {
    /// `IFF_TAP`, in `tun_flags`.
    const TAP: u64 = 0x0002;
    let at = |attribute: &str| format!("{folder}/{attribute}");
    let has = |wanted: &str| entries.iter().any(|name| name == wanted);

    let uevent = tick.read(&at("uevent")).unwrap_or_default();
    let devtype = sysfs::uevent_value(&uevent, "DEVTYPE");
    match devtype.as_deref() {
        Some("bridge") => return InterfaceKind::Bridge,
        Some("bond") => return InterfaceKind::Bond,
        Some("vlan") => return InterfaceKind::Vlan,
        Some("macvlan" | "macvtap") => return InterfaceKind::Macvlan,
        Some("vxlan") => return InterfaceKind::Vxlan,
        Some("wireguard") => return InterfaceKind::Wireguard,
        Some("wlan") => return InterfaceKind::Wireless,
        Some("geneve" | "gtp" | "ppp") => return InterfaceKind::Tunnel,
        _ => {}
    }
    if let Some(flags) = sysfs::parsed(tick, &at("tun_flags"), sysfs::parse_hexadecimal) {
        return if flags & TAP == 0 {
            InterfaceKind::Tun
        } else {
            InterfaceKind::Tap
        };
    }
    if has("device") {
        return InterfaceKind::Physical;
    }
    // ARP hardware types:
    // <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if_arp.h#L29>.
    let is_ethernet = match sysfs::number::<u32>(tick, &at("type")) {
        Some(772) => return InterfaceKind::Loopback,
        Some(768 | 769 | 776 | 778 | 823) => return InterfaceKind::Tunnel,
        hardware => hardware == Some(1),
    };
    let has_lower = entries.iter().any(|name| name.starts_with("lower_"));
    if is_ethernet
        && !has_lower
        && (has_speed_of_veth(tick, folder) || is_linked_back(tick, folder))
    {
        return InterfaceKind::Veth;
    }
    InterfaceKind::Virtual
}

/// The indexes of an interface and of its linked interface, if that is another
/// one.
fn link(tick: &Tick, folder: &str) -> Option<(u32, u32)> {
    let number = |name: &str| sysfs::nonzero::<u32>(tick, &format!("{folder}/{name}"));
    let (index, link) = (number("ifindex")?, number("iflink")?);
    (index != link).then_some((index, link))
}

/// `veth_get_link_ksettings()` of
/// <https://github.com/torvalds/linux/blob/v6.12/drivers/net/veth.c#L130>.
fn has_speed_of_veth(tick: &Tick, folder: &str) -> bool {
    link(tick, folder).is_some() && speed_megabits(tick, folder) == Some(10_000)
}

/// Whether an interface of this network namespace is linked to this one, as
/// this one is linked to that.
fn is_linked_back(tick: &Tick, folder: &str) -> bool {
    let Some((index, peer)) = link(tick, folder) else {
        return false;
    };
    let Ok(entries) = tick.read_dir(INTERFACES) else {
        return false;
    };
    let mut others = entries.iter();
    others.any(|name| link(tick, &format!("{INTERFACES}/{name}")) == Some((peer, index)))
}
