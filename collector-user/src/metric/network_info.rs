use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Choice, Reading, Record};

/// Network interfaces: kind, driver, link, speed, queues, master and lower devices.
///
/// `/sys/class/net` shows the network namespace in which it was mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Reading)]
#[metric(
    name = "network_info",
    tier = "hardware",
    prefix = "host_network",
    sources(
        "/sys/class/net/*",
        "/sys/class/net/*/*",
        "/sys/class/net/*/device/driver",
        "/sys/class/net/*/device/numa_node",
        "/sys/class/net/*/queues",
        "/sys/bus/pci/devices/*/numa_node",
    )
)]
pub struct NetworkInfo {
    /// The interfaces, by index.
    #[field(1)]
    pub interfaces: Vec<NetworkInterface>,
}

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Record)]
#[record(prefix = "host_network_interface")]
pub struct NetworkInterface {
    /// Name.
    #[field(1, key)]
    pub name: Arc<str>,
    /// Interface index (`ifindex`).
    #[field(2, label)]
    pub index: Option<u32>,
    /// Kind.
    #[field(3, label)]
    pub kind: InterfaceKind,
    /// Hardware (MAC) address.
    #[field(4, label)]
    pub mac: Option<Arc<str>>,
    /// MTU.
    #[field(5)]
    pub mtu_bytes: Option<u32>,
    /// Whether it is administratively up (`IFF_UP`).
    #[field(6)]
    pub admin_up: Option<bool>,
    /// Operational state (RFC 2863): `up`, `down`, `lowerlayerdown`, `dormant`, `unknown`, ….
    #[field(7, label)]
    pub operstate: Option<Arc<str>>,
    /// Carrier; `None` while it is administratively down.
    #[field(8)]
    pub carrier: Option<bool>,
    /// Link speed; `None` without a link, or where the driver does not know it.
    #[field(9)]
    pub speed_bits_per_second: Option<u64>,
    /// Duplex: `full` or `half`; `None` where the driver does not know it.
    #[field(10, label)]
    pub duplex: Option<Arc<str>>,
    /// Driver.
    #[field(11, label)]
    pub driver: Option<Arc<str>>,
    /// PCI address: `0000:01:00.0`.
    #[field(12, label)]
    pub pci_address: Option<Arc<str>>,
    /// NUMA node of the device.
    #[field(13, label)]
    pub numa_node: Option<u32>,
    /// Receive queues.
    #[field(14)]
    pub rx_queues: Option<u32>,
    /// Transmit queues.
    #[field(15)]
    pub tx_queues: Option<u32>,
    /// Index of the linked interface (`iflink`): of a VLAN its parent, of a veth its peer, which
    /// may be in another network namespace. `None` without a link, as of an unbound tunnel.
    #[field(16, label)]
    pub link_index: Option<u32>,
    /// Master device: the bridge, bond, team or VRF that it is enslaved to.
    #[field(17, label)]
    pub master: Option<Arc<str>>,
    /// Lower devices.
    #[field(18)]
    pub lower: Vec<Arc<str>>,
}

/// The kind of a network interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// Loopback.
    #[value(1)]
    Loopback,
    /// A device, real or emulated by a hypervisor.
    #[value(2)]
    Physical,
    /// Wireless.
    #[value(3)]
    Wireless,
    /// Bridge.
    #[value(4)]
    Bridge,
    /// Link aggregation (bonding).
    #[value(5)]
    Bond,
    /// VLAN.
    #[value(6)]
    Vlan,
    /// Virtual Ethernet pair (veth).
    #[value(7)]
    Veth,
    /// TAP.
    #[value(8)]
    Tap,
    /// TUN.
    #[value(9)]
    Tun,
    /// MACVLAN or IPVLAN.
    #[value(10)]
    Macvlan,
    /// VXLAN.
    #[value(11)]
    Vxlan,
    /// `WireGuard`.
    #[value(12)]
    Wireguard,
    /// Another tunnel.
    #[value(13)]
    Tunnel,
    /// Another virtual interface, such as an Ethernet tunnel (gretap), or a veth that is down and
    /// whose peer is in another network namespace.
    #[default]
    #[value(14)]
    Virtual,
}
