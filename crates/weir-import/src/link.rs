//! Where in what was captured the packet begins, and how long it was on the wire.

use crate::bytes::{Order, array};
use weir_record::Direction;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// How the packet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// With an Ethernet header.
    Ethernet,
    /// With what this ethertype says.
    Type(u16),
}

/// A packet without what only the capture has added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Framed<'a> {
    pub beginning: Beginning,
    /// As much of it as was captured.
    pub data: &'a [u8],
    /// Bytes on the wire from where `data` begins.
    pub length: u32,
    /// Bytes of a link layer that was there and was not captured.
    pub header: u32,
    pub direction: Option<Direction>,
    /// The interface's number, where every packet says its own.
    pub interface_index: Option<u32>,
}

/// What is in `data` that had `length` bytes, by its link type (tcpdump.org/linktypes.html); none where that is not known.
pub(crate) fn framed(link_type: u16, data: &[u8], length: u32) -> Option<Framed<'_>> {
    let bare = |beginning, skipped: usize| Framed {
        beginning,
        data: data.get(skipped..).unwrap_or_default(),
        length: length.saturating_sub(skipped as u32),
        header: 0,
        direction: None,
        interface_index: None,
    };
    let version = || Beginning::Type(data.first().map_or(0, |first| by_version(first >> 4)));
    Some(match link_type {
        1 => bare(Beginning::Ethernet, 0),
        // BSD's loopback: the address family, in the order of the machine or of the network.
        0 | 108 => bare(Beginning::Type(array(data, 0).map_or(0, by_family)), 4),
        // Raw IP; 12 and 14 are what some systems write for it.
        12 | 14 | 101 => bare(version(), 0),
        228 => bare(Beginning::Type(ETHERTYPE_IPV4), 0),
        229 => bare(Beginning::Type(ETHERTYPE_IPV6), 0),
        113 => cooked(bare(Beginning::Type(be16(data, 14)), 16), be16(data, 0), be16(data, 2)),
        276 => Framed {
            interface_index: Order::Big.u32(data, 4),
            ..cooked(
                bare(Beginning::Type(be16(data, 0)), 20),
                data.get(10).copied().map_or(u16::MAX, u16::from),
                be16(data, 8),
            )
        },
        _ => return None,
    })
}

/// Linux's cooked captures have a header of their own in place of the link layer's.
fn cooked(framed: Framed<'_>, packet_type: u16, hardware: u16) -> Framed<'_> {
    const OUTGOING: u16 = 4;
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    let direction = if packet_type == OUTGOING { Direction::Egress } else { Direction::Ingress };
    let header = if hardware == ETHERNET || hardware == LOOPBACK { 14 } else { 0 };
    Framed { header, direction: Some(direction), ..framed }
}

fn be16(data: &[u8], at: usize) -> u16 {
    Order::Big.u16(data, at).unwrap_or_default()
}

fn by_version(version: u8) -> u16 {
    match version {
        4 => ETHERTYPE_IPV4,
        6 => ETHERTYPE_IPV6,
        _ => 0,
    }
}

/// IPv6 has another number on each system.
fn by_family(raw: [u8; 4]) -> u16 {
    match raw {
        [family, 0, 0, 0] | [0, 0, 0, family] => match family {
            2 => ETHERTYPE_IPV4,
            10 | 24 | 28 | 30 => ETHERTYPE_IPV6,
            _ => 0,
        },
        _ => 0,
    }
}
