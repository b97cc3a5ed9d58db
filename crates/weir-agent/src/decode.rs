//! From the kernel's entries to flow keys.

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_kernel::{FlowAddresses, FlowEntry, LINK_IPV4, LINK_IPV6, LINK_PORTS, LINK_VLAN, LINK_VLAN_ID};
use weir_record::{Addresses, FlowKey};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The key of `entry`; `wide` holds the addresses where it is IPv6.
pub fn key(entry: &FlowEntry, wide: Option<&FlowAddresses>) -> FlowKey {
    let link = u32::from(entry.link);
    let vlan = (link & LINK_VLAN != 0).then_some((link & LINK_VLAN_ID) as u16);
    let addresses = match wide {
        Some(wide) if link & LINK_IPV6 != 0 => Addresses::V6(ipv6(wide.source), ipv6(wide.destination)),
        _ if link & LINK_IPV4 != 0 => {
            Addresses::V4(ipv4(entry.addresses as u32), ipv4((entry.addresses >> 32) as u32))
        }
        _ => return FlowKey::Other { vlan, ethertype: u16::from_be(entry.source_port) },
    };
    let pair = match entry.protocol {
        // Type and code are bytes; ports are in network byte order.
        ICMP | ICMPV6 => (entry.source_port, entry.destination_port),
        _ => (u16::from_be(entry.source_port), u16::from_be(entry.destination_port)),
    };
    let ports = (link & LINK_PORTS != 0).then_some(pair);
    FlowKey::Ip { vlan, addresses, protocol: entry.protocol, ports }
}

/// The kernel keeps addresses as they lie in the packet.
fn ipv4(raw: u32) -> Ipv4Addr {
    Ipv4Addr::from(raw.to_ne_bytes())
}

/// An address as it lies in a packet, in two words.
pub fn ipv6(raw: [u64; 2]) -> Ipv6Addr {
    let mut octets = [0; 16];
    let words = raw.into_iter().flat_map(|half| [half as u32, (half >> 32) as u32]);
    for (place, word) in octets.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(octets)
}
