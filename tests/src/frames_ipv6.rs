//! Crafted IPv6 packets, with extension headers.

use crate::frames::{AH, IPV6, ethernet};
use std::net::Ipv6Addr;

/// Extension headers.
pub const HOP_BY_HOP: u8 = 0;
/// Routing.
pub const ROUTING: u8 = 43;
/// Fragment.
pub const FRAGMENT: u8 = 44;
/// "Nothing follows."
pub const NO_NEXT_HEADER: u8 = 59;
/// Destination options.
pub const DESTINATION_OPTIONS: u8 = 60;

/// The fields of an IPv6 header that the tests vary.
#[derive(Clone)]
pub struct Ipv6 {
    /// From.
    pub source: Ipv6Addr,
    /// To.
    pub destination: Ipv6Addr,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Twenty bits.
    pub flow_label: u32,
}

impl Default for Ipv6 {
    fn default() -> Self {
        Self {
            source: [0xfd99, 0, 0, 0, 0, 0, 0, 1].into(),
            destination: [0xfd99, 0, 0, 0, 0, 0, 0, 2].into(),
            traffic_class: 0,
            flow_label: 0,
        }
    }
}

impl Ipv6 {
    /// The packet, without a link layer.
    pub fn packet(&self, next_header: u8, payload: &[u8]) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let length = u16::try_from(payload.len()).expect("a packet");
        let mut packet = Vec::with_capacity(40 + payload.len());
        packet.extend(first.to_be_bytes());
        packet.extend(length.to_be_bytes());
        packet.extend([next_header, 64]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(payload);
        packet
    }

    /// The packet in an Ethernet frame.
    pub fn frame(&self, next_header: u8, payload: &[u8]) -> Vec<u8> {
        ethernet(IPV6, &self.packet(next_header, payload))
    }
}

/// One extension header: its number, and everything in it after the number of the next one.
#[derive(Clone)]
pub struct Extension(pub u8, pub Vec<u8>);

impl Extension {
    /// Of `length` bytes in all, a multiple of eight, filled with padding options.
    pub fn options(number: u8, length: usize) -> Self {
        let padding = u8::try_from(length - 4).unwrap_or(0);
        let mut body = vec![u8::try_from(length / 8 - 1).expect("at most 2048 bytes"), 1, padding];
        body.resize(length - 1, 0);
        Self(number, body)
    }

    /// A routing header with one address to go (RFC 8754 fills these very fields).
    pub fn routing() -> Self {
        let mut body = vec![2, 4, 1, 0, 0, 0, 0];
        body.extend(Ipv6Addr::LOCALHOST.octets());
        Self(ROUTING, body)
    }

    /// A fragment header; the offset is in units of eight bytes.
    pub fn fragment(offset: u16, more: bool, id: u32) -> Self {
        let field = offset << 3 | u16::from(more);
        Self(FRAGMENT, [&[0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat())
    }

    /// An authentication header: its length is in words of four bytes, less two.
    pub fn authentication() -> Self {
        let mut body = vec![4, 0, 0];
        body.resize(24 - 1, 0xaa);
        Self(AH, body)
    }
}

/// Links extension headers in front of a payload. Returns the number of the first of them.
pub fn chain(extensions: &[Extension], protocol: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    let mut next = protocol;
    let mut packet = payload.to_vec();
    for Extension(number, body) in extensions.iter().rev() {
        packet = [&[next][..], body, &packet].concat();
        next = *number;
    }
    (next, packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::UDP;

    #[test]
    fn an_ipv6_header_is_what_rfc_8200_says() {
        let ip = Ipv6 { traffic_class: 0xb8, flow_label: 0xabcde, ..Ipv6::default() };
        let packet = ip.packet(UDP, &[9; 3]);
        assert_eq!(packet[..8], [0x6b, 0x8a, 0xbc, 0xde, 0, 3, 17, 64]);
        assert_eq!(packet.len(), 43);
    }

    #[test]
    fn every_header_is_as_long_as_it_says() {
        for length in [8, 16, 256, 2048] {
            let Extension(_, body) = Extension::options(DESTINATION_OPTIONS, length);
            assert_eq!((usize::from(body[0]) + 1) * 8, 1 + body.len());
        }
        assert_eq!((usize::from(Extension::routing().1[0]) + 1) * 8, 24);
        assert_eq!(Extension::routing().1.len(), 23);
        assert_eq!((usize::from(Extension::authentication().1[0]) + 2) * 4, 24);
        assert_eq!(Extension::fragment(2, true, 7).1, [0, 0, 17, 0, 0, 0, 7]);
    }

    #[test]
    fn a_chain_names_each_next_header() {
        let (first, packet) =
            chain(&[Extension::options(HOP_BY_HOP, 8), Extension::fragment(0, true, 1)], UDP, &[0xee]);
        assert_eq!(first, HOP_BY_HOP);
        assert_eq!((packet[0], packet[8], packet[16]), (FRAGMENT, UDP, 0xee));
    }
}
