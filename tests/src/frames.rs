//! Crafted frames, from the payload outwards: each function wraps what it is given.

use std::net::Ipv4Addr;

pub use crate::frames_ipv6::{Ipv6, chain};

/// Ethertypes.
pub const IPV4: u16 = 0x0800;
/// The address resolution protocol.
pub const ARP: u16 = 0x0806;
/// 802.1Q.
pub const VLAN: u16 = 0x8100;
/// The outer tag of 802.1ad.
pub const QINQ: u16 = 0x88a8;
/// The outer tag before 802.1ad.
pub const QINQ_OLD: u16 = 0x9100;
/// IPv6.
pub const IPV6: u16 = 0x86dd;

/// IP protocols.
pub const ICMP: u8 = 1;
/// Internet group management.
pub const IGMP: u8 = 2;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// DCCP.
pub const DCCP: u8 = 33;
/// Generic routing encapsulation.
pub const GRE: u8 = 47;
/// Encapsulating security payload.
pub const ESP: u8 = 50;
/// Authentication header.
pub const AH: u8 = 51;
/// ICMPv6.
pub const ICMPV6: u8 = 58;
/// SCTP.
pub const SCTP: u8 = 132;
/// UDP-Lite.
pub const UDPLITE: u8 = 136;

/// TCP flags.
pub const FIN: u16 = 0x01;
/// Synchronise.
pub const SYN: u16 = 0x02;
/// Reset.
pub const RST: u16 = 0x04;
/// Push.
pub const PSH: u16 = 0x08;
/// Acknowledge.
pub const ACK: u16 = 0x10;

/// "More fragments follow", in the IPv4 fragment field.
pub const MORE: u16 = 0x2000;

/// An address that no host on the test's wire has: the kernel of whoever receives such a
/// frame drops it and answers nothing.
const NOBODY: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// An Ethernet frame; below 0x0600 the type is the length of an 802.3 frame.
pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&NOBODY[..], &SENDER, &ethertype.to_be_bytes(), payload].concat()
}

/// What follows a tag's type: priority, id, the next type, and the rest.
pub fn vlan(tci: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&tci.to_be_bytes()[..], &ethertype.to_be_bytes(), payload].concat()
}

/// Zeros up to the shortest frame that Ethernet allows.
pub fn pad(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The fields of an IPv4 header that the tests vary.
#[derive(Clone)]
pub struct Ipv4 {
    /// From.
    pub source: Ipv4Addr,
    /// To.
    pub destination: Ipv4Addr,
    /// DSCP and ECN.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// Which datagram a fragment belongs to.
    pub id: u16,
    /// Flags, and the offset in units of eight bytes.
    pub fragment: u16,
    /// A multiple of four bytes, at most forty.
    pub options: Vec<u8>,
}

impl Default for Ipv4 {
    fn default() -> Self {
        Self {
            source: [10, 99, 0, 1].into(),
            destination: [10, 99, 0, 2].into(),
            tos: 0,
            ttl: 64,
            id: 0,
            fragment: 0,
            options: Vec::new(),
        }
    }
}

impl Ipv4 {
    /// The datagram, without a link layer.
    pub fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let total = u16::try_from(header + payload.len()).expect("a datagram");
        let mut packet = Vec::with_capacity(total.into());
        packet.extend([0x40 | u8::try_from(header / 4).expect("at most 60 bytes"), self.tos]);
        packet.extend(total.to_be_bytes());
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, protocol, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(&self.options);
        let check = checksum(&packet);
        packet[10..12].copy_from_slice(&check.to_be_bytes());
        packet.extend(payload);
        packet
    }

    /// The datagram in an Ethernet frame.
    pub fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        ethernet(IPV4, &self.packet(protocol, payload))
    }
}

/// The Internet checksum (RFC 1071) of a whole number of 16-bit words.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded twice")
}

/// UDP without a checksum, which IPv4 allows.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a datagram");
    [source, destination, length, 0]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .chain(payload.iter().copied())
        .collect()
}

/// A TCP segment; the options are a multiple of four bytes.
pub fn tcp(source: u16, destination: u16, flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = u16::try_from(5 + options.len() / 4).expect("at most 60 bytes");
    let mut segment: Vec<u8> = [source, destination, 0, 1, 0, 0, words << 12 | flags, 1024, 0, 0]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// The start that SCTP, DCCP and UDP-Lite share with UDP: two ports.
pub fn ports(source: u16, destination: u16, rest: &[u8]) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), rest].concat()
}

/// An ICMP or ICMPv6 message.
pub fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0][..], rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_header_is_what_rfc_791_says() {
        let ip = Ipv4 { tos: 0xb8, id: 7, fragment: MORE | 3, options: vec![1, 1, 1, 0], ..Ipv4::default() };
        let packet = ip.packet(UDP, &[9; 4]);
        assert_eq!(packet[..10], [0x46, 0xb8, 0, 28, 0, 7, 0x20, 3, 64, 17]);
        assert_eq!(packet[12..], [10, 99, 0, 1, 10, 99, 0, 2, 1, 1, 1, 0, 9, 9, 9, 9]);
        assert_eq!(checksum(&packet[..24]), 0, "a header with its checksum sums up to nothing");
    }

    #[test]
    fn a_checksum_is_what_rfc_1071_says() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn a_tcp_header_holds_its_length_and_flags() {
        let segment = tcp(1, 2, SYN | ACK, &[1; 8], b"x");
        assert_eq!(segment.len(), 29);
        assert_eq!(segment[12..14], [0x70, 0x12]);
    }

    #[test]
    fn tags_nest() {
        let frame = ethernet(QINQ, &vlan(5, VLAN, &vlan(0x6007, ARP, &[0xaa])));
        assert_eq!(frame[12..], [0x88, 0xa8, 0, 5, 0x81, 0, 0x60, 7, 8, 6, 0xaa]);
    }
}
