//! ctnetlink's messages (include/uapi/linux/netfilter/nfnetlink_conntrack.h), as far as they matter here:
//! the two tuples of a connection. Everything else is passed over, whatever a newer kernel puts there.

use crate::conversations::Tuples;
use crate::netlink::{HEADER, attributes, error, messages};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_record::{Addresses, FlowKey};

// include/uapi/linux/netfilter/nfnetlink.h: the subsystem stands in the upper byte of the type.
const NEW: u16 = 0x100;
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
/// Of `struct nfgenmsg`.
pub(super) const FAMILY_HEADER: usize = 4;
// enum ctattr_type, ctattr_tuple, ctattr_ip, ctattr_l4proto
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
pub(super) const STATUS: u16 = 3;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IPV4_SOURCE: u16 = 1;
const IPV4_DESTINATION: u16 = 2;
const IPV6_SOURCE: u16 = 3;
const IPV6_DESTINATION: u16 = 4;
const PROTOCOL: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// The source, or the destination, of a connection is translated (enum ip_conntrack_status).
pub(super) const SOURCE_TRANSLATED: u32 = 1 << 4;
pub(super) const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// There is a connection that is translated.
    Translated(Tuples),
    /// There is no longer.
    Ended(Tuples),
    /// The request has been done, or refused with this error number.
    Done(i32),
}

/// Reads everything in `datagram`.
pub(super) fn read(datagram: &[u8], mut hear: impl FnMut(Heard)) {
    for message in messages(datagram) {
        let payload = message.payload();
        let heard = match message.message_type() {
            NLMSG_ERROR | NLMSG_DONE => Some(Heard::Done(error(payload))),
            NEW => tuples(payload).map(Heard::Translated),
            DELETE => tuples(payload).map(Heard::Ended),
            _ => None,
        };
        heard.into_iter().for_each(&mut hear);
    }
}

/// Asks for all connections with this status. Kernels that know no such filter send all of them.
pub(super) fn request(status: u32) -> Vec<u8> {
    let mut message = NetlinkBuffer::new(vec![0; HEADER + FAMILY_HEADER]);
    message.set_message_type(GET);
    message.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    let mut bytes = message.into_inner();
    bytes.extend(8u16.to_ne_bytes());
    bytes.extend(STATUS.to_ne_bytes());
    bytes.extend(status.to_be_bytes());
    let length = bytes.len() as u32;
    NetlinkBuffer::new(&mut bytes).set_length(length);
    bytes
}

/// Both tuples, unless they are each other's mirror, or without ports.
fn tuples(payload: &[u8]) -> Option<Tuples> {
    let (mut original, mut reply) = (None, None);
    for attribute in attributes(payload, FAMILY_HEADER) {
        match attribute.kind() {
            TUPLE_ORIGINAL => original = tuple(attribute.value()),
            TUPLE_REPLY => reply = tuple(attribute.value()),
            _ => {}
        }
    }
    let (original, translated) = (original?, reply?.reversed()?);
    // Null for ICMP: its tuples have an id, which flows do not have.
    original.ports().and(translated.ports())?;
    (original != translated).then_some(Tuples { original, translated })
}

/// One direction of a connection.
fn tuple(nest: &[u8]) -> Option<FlowKey> {
    let (mut addresses, mut transport) = (None, None);
    for attribute in attributes(nest, 0) {
        match attribute.kind() {
            TUPLE_IP => addresses = self::addresses(attribute.value()),
            TUPLE_PROTO => transport = self::transport(attribute.value()),
            _ => {}
        }
    }
    let (protocol, ports) = transport?;
    Some(FlowKey::Ip { vlan: None, addresses: addresses?, protocol, ports })
}

fn addresses(nest: &[u8]) -> Option<Addresses> {
    let of = |kind| attributes(nest, 0).find(|attribute| attribute.kind() == kind);
    let v4 = |kind| Some(Ipv4Addr::from(<[u8; 4]>::try_from(of(kind)?.value()).ok()?));
    let v6 = |kind| Some(Ipv6Addr::from(<[u8; 16]>::try_from(of(kind)?.value()).ok()?));
    let pair = v4(IPV4_SOURCE).zip(v4(IPV4_DESTINATION)).map(|(from, to)| Addresses::V4(from, to));
    pair.or_else(|| v6(IPV6_SOURCE).zip(v6(IPV6_DESTINATION)).map(|(from, to)| Addresses::V6(from, to)))
}

/// Protocol, and ports where it has any.
fn transport(nest: &[u8]) -> Option<(u8, Option<(u16, u16)>)> {
    let of = |kind| attributes(nest, 0).find(|attribute| attribute.kind() == kind);
    let port = |kind| Some(u16::from_be_bytes(of(kind)?.value().try_into().ok()?));
    let protocol = *of(PROTOCOL)?.value().first()?;
    Some((protocol, port(SOURCE_PORT).zip(port(DESTINATION_PORT))))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_filter::generate::keys;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [(4 + value.len() as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
        attribute(kind | 0x8000, &parts.concat())
    }

    fn tuple_of(kind: u16, flow: &FlowKey) -> Vec<u8> {
        let FlowKey::Ip { addresses, protocol, ports, .. } = *flow else { return Vec::new() };
        let ip = match addresses {
            Addresses::V4(from, to) => {
                [attribute(IPV4_SOURCE, &from.octets()), attribute(IPV4_DESTINATION, &to.octets())]
            }
            Addresses::V6(from, to) => {
                [attribute(IPV6_SOURCE, &from.octets()), attribute(IPV6_DESTINATION, &to.octets())]
            }
        };
        let mut transport = vec![attribute(PROTOCOL, &[protocol])];
        for (kind, port) in
            [SOURCE_PORT, DESTINATION_PORT].into_iter().zip(ports.map(<[u16; 2]>::from).into_iter().flatten())
        {
            transport.push(attribute(kind, &port.to_be_bytes()));
        }
        nest(kind, &[nest(TUPLE_IP, &ip), nest(TUPLE_PROTO, &transport)])
    }

    /// As the kernel writes it, with something in between that nobody knows.
    fn message(kind: u16, original: &FlowKey, reply: &FlowKey) -> Vec<u8> {
        let attributes = [
            tuple_of(TUPLE_ORIGINAL, original),
            attribute(0x3ff, &[1, 2, 3]),
            tuple_of(TUPLE_REPLY, reply),
            attribute(STATUS, &0x18eu32.to_be_bytes()),
        ];
        let mut message = NetlinkBuffer::new(vec![0; HEADER + FAMILY_HEADER]);
        message.set_message_type(kind);
        let mut bytes = message.into_inner();
        bytes.extend(attributes.concat());
        let length = bytes.len() as u32;
        NetlinkBuffer::new(&mut bytes).set_length(length);
        bytes
    }

    fn heard(datagram: &[u8]) -> Vec<Heard> {
        let mut all = Vec::new();
        read(datagram, |one| all.push(one));
        all
    }

    proptest! {
        #[test]
        fn what_is_translated_is_read_and_nothing_else(original in keys(), translated in keys()) {
            let (original, translated) = (original.with_vlan(None), translated.with_vlan(None));
            let Some(reply) = translated.reversed() else { return Ok(()) };
            let is_wanted = original.ports().is_some() && translated.ports().is_some() && original != translated;
            let wanted = is_wanted.then_some(Tuples { original, translated });
            let both = [message(NEW, &original, &reply), message(DELETE, &original, &reply)].concat();
            let expected: Vec<_> = wanted.map(Heard::Translated).into_iter().chain(wanted.map(Heard::Ended)).collect();
            prop_assert_eq!(heard(&both), expected);
        }

        #[test]
        fn noise_is_read_without_harm(
            original in keys(), reply in keys(), cut in any::<u16>(), noise in prop::collection::vec(any::<(u16, u8)>(), 0..20)
        ) {
            let mut bytes = message(NEW, &original, &reply);
            for (place, byte) in noise {
                let place = usize::from(place) % bytes.len();
                bytes[place] = byte;
            }
            bytes.truncate(usize::from(cut) % (bytes.len() + 1));
            heard(&bytes);
        }
    }

    #[test]
    fn errors_and_ends_are_told() {
        let done = |kind, number: i32| {
            let mut message = NetlinkBuffer::new(vec![0; HEADER + 4]);
            message.set_message_type(kind);
            message.set_length(20);
            let mut bytes = message.into_inner();
            bytes[HEADER..].copy_from_slice(&number.to_ne_bytes());
            heard(&bytes)
        };
        assert_eq!(done(NLMSG_DONE, 0), [Heard::Done(0)]);
        assert_eq!(done(NLMSG_ERROR, -1), [Heard::Done(1)]);
    }
}
