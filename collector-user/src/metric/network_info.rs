use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Kind, MetricInfo, Reading, Tier,
    heap::{OwnedBytes, owned_bytes},
};

/// The network interfaces.
///
/// Source: `/sys/class/net`, which shows the network namespace in which it was
/// mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// The interfaces, in the order of their indexes.
    pub interfaces: Vec<NetworkInterface>,
}

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Its name.
    pub name: Arc<str>,
    /// Its index.
    pub index: Option<u32>,
    /// What it is.
    pub kind: InterfaceKind,
    /// Its hardware address.
    pub mac: Option<Arc<str>>,
    /// MTU.
    pub mtu_bytes: Option<u32>,
    /// Whether it is administratively up (`IFF_UP`).
    pub admin_up: Option<bool>,
    /// `up`, `down`, `lowerlayerdown`, `dormant`, `unknown`, …
    pub operstate: Option<Arc<str>>,
    /// Carrier; `None` while it is administratively down.
    pub carrier: Option<bool>,
    /// The speed of the link; `None` where there is no link, or the driver does
    /// not know it.
    pub speed_bits_per_second: Option<u64>,
    /// Duplex: `full` or `half`; `None` where the driver does not know it.
    pub duplex: Option<Arc<str>>,
    /// The driver of the device.
    pub driver: Option<Arc<str>>,
    /// Its PCI address: `0000:01:00.0`.
    pub pci_address: Option<Arc<str>>,
    /// The NUMA node to which it is attached.
    pub numa_node: Option<u32>,
    /// How many queues it receives with.
    pub rx_queues: Option<u32>,
    /// How many queues it sends with.
    pub tx_queues: Option<u32>,
    /// The index of the interface that it is linked to: of a VLAN the one
    /// below it, of a veth the other end, which may be in another namespace.
    /// `None` of one that is linked to none, such as an unbound tunnel.
    pub link_index: Option<u32>,
    /// The bridge or the bond that it belongs to.
    pub master: Option<Arc<str>>,
    /// The interfaces below it.
    pub lower: Vec<Arc<str>>,
}

/// What a network interface is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// To the host itself.
    Loopback,
    /// A device, real or of a hypervisor.
    Physical,
    /// A device without a cable.
    Wireless,
    /// Joins interfaces, as a switch does.
    Bridge,
    /// Link aggregation (bonding).
    Bond,
    /// One VLAN of another interface.
    Vlan,
    /// One end of a pair.
    Veth,
    /// Ethernet to a process.
    Tap,
    /// IP to a process.
    Tun,
    /// Another address on an interface.
    Macvlan,
    /// Ethernet in UDP.
    Vxlan,
    /// An encrypted tunnel.
    Wireguard,
    /// Another tunnel.
    Tunnel,
    /// Anything else that is not a device, such as an Ethernet tunnel (gretap),
    /// or a veth that is down and whose other end is elsewhere.
    #[default]
    Virtual,
}

impl OwnedBytes for NetworkInterface {
    fn owned_bytes(&self) -> usize {
        owned_bytes!(self; name, mac, operstate, duplex, driver, pci_address, master, lower)
    }
}

impl Reading for NetworkInfo {
    const METRIC: MetricInfo = MetricInfo {
        name: "network_info",
        tier: Tier::Hardware,
        kind: Kind::State,
        help: "Network interfaces: kind, driver, link, speed, queues, and what is joined to what",
    };

    fn heap_bytes(&self) -> usize {
        self.interfaces.owned_bytes()
    }
}
