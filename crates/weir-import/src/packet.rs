//! What one packet says of itself, by the rules of the probe's own reader (weir-kernel, `read_any.h`): what cannot be
//! read becomes a flow by protocol or, failing that, by ethertype. It never fails.

use crate::bytes::{Order, array};
use crate::link::{Beginning, Framed};
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_record::{Addresses, FlowKey};

const MAX_VLAN_TAGS: usize = 3;
const MAX_EXTENSION_HEADERS: usize = 8;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLANS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Below, it is no type but a length.
const ETHERTYPE_MIN: u16 = 0x0600;
/// Linux's word for such frames.
const ETHERTYPE_802_2: u16 = 0x0004;

const HOP_BY_HOP: u8 = 0;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AH: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

const SYN: u16 = 0x02;
const ACK: u16 = 0x10;

/// What a packet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    pub key: FlowKey,
    pub tcp_flags: u16,
    /// DSCP and ECN.
    pub traffic_class: u8,
    pub ttl: u8,
    pub fragment: Option<Fragment>,
}

impl Packet {
    /// Whether it is a SYN without ACK.
    pub fn opens(&self) -> bool {
        self.tcp_flags & (SYN | ACK) == SYN
    }

    /// Whether it is a SYN with ACK.
    pub fn answers(&self) -> bool {
        self.tcp_flags & (SYN | ACK) == SYN | ACK
    }
}

/// A part of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// What all parts have in common.
    pub id: u32,
    /// As they say it, before extension headers that only the first one has.
    pub protocol: u8,
    /// Whether it is not the first.
    pub is_later: bool,
}

/// Where the reader stands.
struct Cursor<'a> {
    data: &'a [u8],
    offset: usize,
    /// One past the last byte that belongs to the datagram, captured or not.
    end: usize,
}

impl Cursor<'_> {
    fn load<const N: usize>(&self) -> Option<[u8; N]> {
        if self.offset + N <= self.end { array(self.data, self.offset) } else { None }
    }

    /// What follows the datagram is padding. A length of 0 is that of a jumbogram, or of one that is cut up later.
    fn shorten(&mut self, length: usize) {
        if length > 0 {
            self.end = self.end.min(self.offset + length);
        }
    }
}

/// What the IP header says.
struct Network {
    addresses: Addresses,
    traffic_class: u8,
    ttl: u8,
    /// The next header.
    protocol: u8,
    fragment: Option<Fragment>,
}

/// Reads a packet.
pub(crate) fn read(framed: &Framed<'_>) -> Packet {
    let mut at = Cursor { data: framed.data, offset: 0, end: framed.length as usize };
    let (vlan, ethertype) = read_link(&mut at, framed.beginning);
    let network = match ethertype {
        ETHERTYPE_IPV4 => read_ipv4(&mut at),
        ETHERTYPE_IPV6 => read_ipv6(&mut at),
        _ => None,
    };
    let Some(mut network) = network else {
        let key = FlowKey::Other { vlan, ethertype };
        return Packet { key, tcp_flags: 0, traffic_class: 0, ttl: 0, fragment: None };
    };
    let is_later = |network: &Network| network.fragment.is_some_and(|fragment| fragment.is_later);
    for _ in 0..MAX_EXTENSION_HEADERS {
        if is_later(&network) || skip_extension_header(&mut at, &mut network).is_none() {
            break;
        }
    }
    let Network { addresses, traffic_class, ttl, protocol, fragment } = network;
    let (ports, tcp_flags) = if is_later(&network) { (None, 0) } else { read_ports(&at, protocol) };
    let key = FlowKey::Ip { vlan, addresses, protocol, ports };
    Packet { key, tcp_flags, traffic_class, ttl, fragment }
}

/// The outer VLAN and the ethertype behind all tags.
fn read_link(at: &mut Cursor<'_>, beginning: Beginning) -> (Option<u16>, u16) {
    let mut vlan = None;
    let mut ethertype = match beginning {
        Beginning::Type(ethertype) => ethertype,
        Beginning::Ethernet => {
            at.offset += 12;
            let Some(raw) = at.load() else { return (None, 0) };
            at.offset += 2;
            u16::from_be_bytes(raw)
        }
    };
    for _ in 0..MAX_VLAN_TAGS {
        let Some([tag @ .., high, low]) = at.load::<4>().filter(|_| ETHERTYPE_VLANS.contains(&ethertype))
        else {
            break;
        };
        vlan = vlan.or(Some(u16::from_be_bytes(tag) & 0x0fff));
        at.offset += 4;
        ethertype = u16::from_be_bytes([high, low]);
    }
    let is_length = beginning == Beginning::Ethernet && ethertype < ETHERTYPE_MIN;
    (vlan, if is_length { ETHERTYPE_802_2 } else { ethertype })
}

fn read_ipv4(at: &mut Cursor<'_>) -> Option<Network> {
    let ip: [u8; 20] = at.load()?;
    let header = usize::from(ip[0] & 0xf) * 4;
    if ip[0] >> 4 != 4 || header < ip.len() || at.offset + header > at.end {
        return None;
    }
    let word = |at| Order::Big.u16(&ip, at);
    at.shorten(word(2)?.into());
    at.offset += header;
    let [source, destination] = [12, 16].map(|at| array::<4>(&ip, at).map(Ipv4Addr::from));
    let (place, protocol) = (word(6)?, ip[9]);
    let fragment = Fragment { id: word(4)?.into(), protocol, is_later: place & 0x1fff != 0 };
    Some(Network {
        addresses: Addresses::V4(source?, destination?),
        traffic_class: ip[1],
        ttl: ip[8],
        protocol,
        fragment: (place & 0x3fff != 0).then_some(fragment),
    })
}

fn read_ipv6(at: &mut Cursor<'_>) -> Option<Network> {
    let ip: [u8; 40] = at.load()?;
    if ip[0] >> 4 != 6 {
        return None;
    }
    at.offset += ip.len();
    at.shorten(Order::Big.u16(&ip, 4)?.into());
    let [source, destination] = [8, 24].map(|at| array::<16>(&ip, at).map(Ipv6Addr::from));
    Some(Network {
        addresses: Addresses::V6(source?, destination?),
        traffic_class: ip[0] << 4 | ip[1] >> 4,
        ttl: ip[7],
        protocol: ip[6],
        fragment: None,
    })
}

/// RFC 8200 section 4; AH (RFC 4302) may follow an IPv4 header as well. None: this is no extension header.
fn skip_extension_header(at: &mut Cursor<'_>, network: &mut Network) -> Option<()> {
    let is_ipv6 = matches!(network.addresses, Addresses::V6(..));
    let kind = network.protocol;
    if kind != AH && !(is_ipv6 && [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS].contains(&kind)) {
        return None;
    }
    let [next, length, place @ .., a, b, c, d]: [u8; 8] = at.load()?;
    let size = match kind {
        FRAGMENT => {
            let place = u16::from_be_bytes(place);
            let fragment = Fragment {
                id: u32::from_be_bytes([a, b, c, d]),
                protocol: next,
                is_later: place & 0xfff8 != 0,
            };
            network.fragment = (place & 0xfff9 != 0).then_some(fragment);
            8
        }
        AH => (usize::from(length) + 2) * 4,
        _ => (usize::from(length) + 1) * 8,
    };
    if at.offset + size > at.end {
        return None;
    }
    at.offset += size;
    network.protocol = next;
    Some(())
}

/// Ports, or ICMP's type and code, and TCP's flags.
fn read_ports(at: &Cursor<'_>, protocol: u8) -> (Option<(u16, u16)>, u16) {
    let ports = || at.load().map(|[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
    match protocol {
        TCP => {
            let flags = at.load::<14>().and_then(|start| Order::Big.u16(&start, 12));
            (ports(), flags.map_or(0, |flags| flags & 0x0fff))
        }
        UDP | UDPLITE | SCTP | DCCP => (ports(), 0),
        ICMP | ICMPV6 => (at.load().map(|[kind, code]| (kind.into(), code.into())), 0),
        _ => (None, 0),
    }
}
