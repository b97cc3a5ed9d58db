//! A loss, whoever tells of it.

use super::names::Names;
use crate::interfaces::NOWHERE;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use weir_kernel::{DROP_FLOWLESS, DROP_IP, DROP_OUTGOING, DROP_PORTS, DropCount, DropKey};
use weir_record::{Addresses, Count, Direction, DropSource, FlowKey};

/// Packets that were dropped for one reason at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Which of the kernel's books tells of it.
    pub source: DropSource,
    /// Its word for it.
    pub reason: Arc<str>,
    /// The place in its code.
    pub location: Option<Arc<str>>,
    /// The network namespace: its inode, 0 for the agent's own, or [`NOWHERE`].
    pub netns: u32,
    /// The interface; 0 where none is known.
    pub ifindex: u32,
    /// Which way they went there.
    pub direction: Direction,
    /// Whose they were.
    pub flow: Option<FlowKey>,
    /// The kernel had no room for that.
    pub is_flowless: bool,
    /// How many. Only the packets themselves have bytes: counters do not tell.
    pub count: Count,
}

impl Loss {
    /// What the probe has counted; `own_netns` is the inode of the agent's own namespace.
    pub fn of_packets(key: &DropKey, count: &DropCount, own_netns: u32, names: &mut Names) -> Self {
        let is_marked = |mark| u32::from(key.marks) & mark != 0;
        Self {
            source: DropSource::KfreeSkb,
            reason: names.reason(key.reason),
            location: Some(names.location(key.location)),
            netns: match key.netns {
                0 => NOWHERE,
                netns if netns == own_netns => 0,
                netns => netns,
            },
            ifindex: key.ifindex,
            direction: if is_marked(DROP_OUTGOING) { Direction::Egress } else { Direction::Ingress },
            flow: flow(key),
            is_flowless: is_marked(DROP_FLOWLESS),
            count: Count { packets: count.packets, bytes: count.bytes },
        }
    }
}

/// None where there was no room for it, or it is not known.
fn flow(key: &DropKey) -> Option<FlowKey> {
    let is_marked = |mark| u32::from(key.marks) & mark != 0;
    if !is_marked(DROP_IP) {
        return (key.ethertype != 0 && !is_marked(DROP_FLOWLESS))
            .then_some(FlowKey::Other { vlan: None, ethertype: key.ethertype });
    }
    let addresses = match (address(key.source), address(key.destination)) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4(source, destination),
        _ => Addresses::V6(wide(key.source), wide(key.destination)),
    };
    let ports = is_marked(DROP_PORTS).then_some((key.source_port, key.destination_port));
    Some(FlowKey::Ip { vlan: None, addresses, protocol: key.protocol, ports })
}

fn wide(words: [u64; 2]) -> Ipv6Addr {
    let [first, last] = words.map(u64::to_ne_bytes);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first);
    bytes[8..].copy_from_slice(&last);
    bytes.into()
}

fn address(words: [u64; 2]) -> IpAddr {
    wide(words).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(address: &str) -> [u64; 2] {
        let bytes = match address.parse().expect("an address") {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        [0, 8].map(|at| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight")))
    }

    fn key(source: &str, destination: &str, marks: u32) -> DropKey {
        DropKey {
            source: words(source),
            destination: words(destination),
            location: 1,
            netns: 7,
            ifindex: 2,
            source_port: 1024,
            destination_port: 53,
            ethertype: 0x0800,
            protocol: 17,
            marks: marks as u8,
            ..DropKey::default()
        }
    }

    #[test]
    fn a_key_of_the_kernel_becomes_one_of_ours() {
        let loss = |key: &DropKey, own| {
            Loss::of_packets(key, &DropCount { packets: 3, bytes: 90 }, own, &mut Names::default())
        };
        let found = loss(&key("10.0.0.1", "10.0.0.2", DROP_IP | DROP_PORTS), 7);
        let addresses = Addresses::V4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let flow = FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((1024, 53)) };
        assert_eq!((found.flow, found.netns, found.direction), (Some(flow), 0, Direction::Ingress));
        assert_eq!(found.count, Count { packets: 3, bytes: 90 });
        let found = loss(&key("fd00::1", "fd00::2", DROP_IP | DROP_OUTGOING), 8);
        let addresses = found.flow.and_then(|flow| flow.addresses()).expect("they were read");
        assert_eq!(addresses.0, "fd00::1".parse::<IpAddr>().expect("an address"));
        assert_eq!((found.netns, found.direction), (7, Direction::Egress));
        assert_eq!(found.flow.and_then(|flow| flow.ports()), None);
        let arp = DropKey { ethertype: 0x0806, netns: 0, ..key("::", "::", 0) };
        let found = loss(&arp, 8);
        let other = FlowKey::Other { vlan: None, ethertype: 0x0806 };
        assert_eq!((found.flow, found.netns), (Some(other), NOWHERE));
        assert_eq!(loss(&key("::", "::", DROP_FLOWLESS), 8).flow, None);
    }
}
