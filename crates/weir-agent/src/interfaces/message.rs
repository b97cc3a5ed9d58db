//! rtnetlink's messages (rtnetlink(7)), as far as they matter here. Only the attributes that are
//! used are looked at, so that no other one that a newer kernel sends can hide an interface.

use crate::netlink::{HEADER, attributes, error, messages};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
};
use std::net::IpAddr;
use weir_record::printable;

// include/uapi/linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWNSID: u16 = 88;
const RTM_DELNSID: u16 = 89;
const RTM_GETNSID: u16 = 90;
// include/uapi/linux/if_link.h, if_addr.h, net_namespace.h
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_TARGET_NETNSID: u16 = 46;
const IFLA_PARENT_DEV_NAME: u16 = 56;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_TARGET_NETNSID: u16 = 10;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// Length of `struct ifinfomsg`; of `ifaddrmsg`; of a padded `rtgenmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const NETNS_HEADER: usize = 4;

/// The bridge and IPv6 speak of links in messages of their own family.
const AF_UNSPEC: u8 = 0;

/// The hardware type of `lo` (include/uapi/linux/if_arp.h).
pub(super) const ARPHRD_LOOPBACK: u16 = 772;

/// The kernel's word for "any number that is free", and for "has none".
const NO_NSID: i32 = -1;

/// What the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// There is a link, or it has changed.
    Link(LinkMessage),
    /// A link is gone.
    LinkGone(u32),
    /// A link has an address.
    Address(u32, IpAddr),
    /// It no longer has.
    AddressGone(u32, IpAddr),
    /// The number of a network namespace, where it has one.
    Namespace(Option<i32>),
    /// The network namespace of this number is gone.
    NamespaceGone(i32),
    /// The request has been done, or refused with this error number.
    Done(i32),
    /// Things changed during a dump: it has to be asked for anew.
    Interrupted,
}

/// A link, in the kernel's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LinkMessage {
    pub(super) index: u32,
    pub(super) name: String,
    /// ARPHRD_….
    pub(super) hardware: u16,
    /// IFLA_INFO_KIND.
    pub(super) driver: Option<String>,
    /// Whether a device lies behind it (Linux 5.14 says so).
    pub(super) has_device: bool,
    /// IFLA_LINK: its other end, or what it lies on.
    pub(super) link: Option<u32>,
    /// The namespace of that, if it is another one (IFLA_LINK_NETNSID): in an answer a number of who
    /// asked, in a notification one of the link's own namespace.
    pub(super) link_nsid: Option<i32>,
}

impl LinkMessage {
    /// Whether it is `lo`.
    pub(super) fn is_loopback(&self) -> bool {
        self.hardware == ARPHRD_LOOPBACK
    }
}

/// Reads everything in `datagram`. Where `sequence` is given, only answers to that request.
pub(super) fn read(datagram: &[u8], sequence: Option<u32>, mut hear: impl FnMut(Heard)) {
    for message in messages(datagram) {
        if sequence.is_none_or(|sequence| sequence == message.sequence_number()) {
            if message.flags() & NLM_F_DUMP_INTR != 0 {
                hear(Heard::Interrupted);
            }
            read_one(message.message_type(), message.payload(), &mut hear);
        }
    }
}

fn read_one(kind: u16, payload: &[u8], hear: &mut impl FnMut(Heard)) {
    let heard = match kind {
        NLMSG_ERROR => i32_at(payload, 0).map(|_| Heard::Done(error(payload))),
        NLMSG_DONE => Some(Heard::Done(error(payload))),
        RTM_NEWLINK => link(payload).map(Heard::Link),
        RTM_DELLINK => link(payload).map(|link| Heard::LinkGone(link.index)),
        RTM_NEWADDR => address(payload).map(|(index, address)| Heard::Address(index, address)),
        RTM_DELADDR => address(payload).map(|(index, address)| Heard::AddressGone(index, address)),
        RTM_NEWNSID => nsid(payload).map(|id| Heard::Namespace((id != NO_NSID).then_some(id))),
        RTM_DELNSID => nsid(payload).map(Heard::NamespaceGone),
        _ => None,
    };
    heard.into_iter().for_each(hear);
}

fn link(payload: &[u8]) -> Option<LinkMessage> {
    if *payload.first()? != AF_UNSPEC {
        return None;
    }
    let mut link = LinkMessage {
        index: u32::try_from(i32_at(payload, 4)?).ok()?,
        hardware: u16::from_ne_bytes(payload.get(2..4)?.try_into().ok()?),
        ..LinkMessage::default()
    };
    for attribute in attributes(payload, LINK_HEADER) {
        match attribute.kind() {
            // The kernel forbids a slash, a colon and white space, no more.
            IFLA_IFNAME => link.name = printable(&text(attribute.value())),
            IFLA_PARENT_DEV_NAME => link.has_device = true,
            IFLA_LINK => link.link = i32_at(attribute.value(), 0).map(i32::cast_unsigned),
            IFLA_LINK_NETNSID => link.link_nsid = i32_at(attribute.value(), 0),
            IFLA_LINKINFO => {
                let kind = attributes(attribute.value(), 0).find(|inner| inner.kind() == IFLA_INFO_KIND);
                link.driver = kind.map(|kind| text(kind.value()));
            }
            _ => {}
        }
    }
    Some(link)
}

fn address(payload: &[u8]) -> Option<(u32, IpAddr)> {
    let index = u32::try_from(i32_at(payload, 4)?).ok()?;
    // On a point-to-point link IFA_ADDRESS is the other end, IFA_LOCAL this one.
    let of = |wanted| attributes(payload, ADDRESS_HEADER).find(|attribute| attribute.kind() == wanted);
    let own = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS))?;
    let address = match *own.value() {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(own.value()).ok()?),
    };
    Some((index, address))
}

fn nsid(payload: &[u8]) -> Option<i32> {
    let id = attributes(payload, NETNS_HEADER).find(|attribute| attribute.kind() == NETNSA_NSID)?;
    i32_at(id.value(), 0)
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

fn i32_at(payload: &[u8], offset: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(payload.get(offset..offset + 4)?.try_into().ok()?))
}

/// A request, in the bytes that go to the kernel.
pub(super) struct Request(Vec<u8>);

impl Request {
    /// All links, of the namespace with this number or of the socket's own.
    pub(super) fn links(nsid: Option<i32>) -> Self {
        Self::new(RTM_GETLINK, NLM_F_DUMP, LINK_HEADER).attribute(IFLA_TARGET_NETNSID, nsid)
    }

    /// One link, likewise.
    pub(super) fn link(nsid: i32, index: u32) -> Self {
        let mut request = Self::new(RTM_GETLINK, NLM_F_ACK, LINK_HEADER);
        request.0[HEADER + 4..HEADER + 8].copy_from_slice(&index.to_ne_bytes());
        request.attribute(IFLA_TARGET_NETNSID, Some(nsid))
    }

    /// All addresses, likewise.
    pub(super) fn addresses(nsid: Option<i32>) -> Self {
        Self::new(RTM_GETADDR, NLM_F_DUMP, ADDRESS_HEADER).attribute(IFA_TARGET_NETNSID, nsid)
    }

    /// The number of the namespace behind a descriptor.
    pub(super) fn nsid(descriptor: i32) -> Self {
        Self::new(RTM_GETNSID, NLM_F_ACK, NETNS_HEADER).attribute(NETNSA_FD, Some(descriptor))
    }

    /// A number for the namespace behind a descriptor.
    pub(super) fn new_nsid(descriptor: i32) -> Self {
        Self::new(RTM_NEWNSID, NLM_F_ACK, NETNS_HEADER)
            .attribute(NETNSA_FD, Some(descriptor))
            .attribute(NETNSA_NSID, Some(NO_NSID))
    }

    fn new(kind: u16, flags: u16, header: usize) -> Self {
        let mut message = NetlinkBuffer::new(vec![0; HEADER + header]);
        message.set_message_type(kind);
        message.set_flags(NLM_F_REQUEST | flags);
        Self(message.into_inner())
    }

    fn attribute(mut self, kind: u16, value: Option<i32>) -> Self {
        if let Some(value) = value {
            self.0.extend(8u16.to_ne_bytes());
            self.0.extend(kind.to_ne_bytes());
            self.0.extend(value.to_ne_bytes());
        }
        self
    }

    /// The bytes, numbered.
    pub(super) fn bytes(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        let mut message = NetlinkBuffer::new(&mut self.0);
        message.set_length(length);
        message.set_sequence_number(sequence);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut request = Request::new(kind, 0, 0);
        request.0.extend(payload);
        request.bytes(7)
    }

    fn heard(datagram: &[u8]) -> Vec<Heard> {
        let mut all = Vec::new();
        read(datagram, None, |heard| all.push(heard));
        all
    }

    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = 4 + value.len() as u16;
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_link_is_read_whatever_else_is_said_of_it() {
        let mut payload = vec![AF_UNSPEC, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        payload.extend(nla(0x3fff, &[1, 2, 3]));
        payload.extend(nla(IFLA_IFNAME, b"eth7\0"));
        payload.extend(nla(IFLA_LINK, &8u32.to_ne_bytes()));
        payload.extend(nla(IFLA_LINK_NETNSID, &3i32.to_ne_bytes()));
        payload.extend(nla(IFLA_LINKINFO | 0x8000, &nla(IFLA_INFO_KIND, b"veth\0")));
        let link = LinkMessage {
            index: 9,
            name: "eth7".into(),
            hardware: 1,
            driver: Some("veth".into()),
            has_device: false,
            link: Some(8),
            link_nsid: Some(3),
        };
        assert_eq!(heard(&message(RTM_NEWLINK, &payload)), [Heard::Link(link)]);
        assert_eq!(heard(&message(RTM_DELLINK, &payload)), [Heard::LinkGone(9)]);
        // A port that leaves a bridge is still there.
        payload[0] = 7;
        assert_eq!(heard(&message(RTM_DELLINK, &payload)), []);
    }

    #[test]
    fn a_name_that_means_no_good_is_spelled_out() {
        let mut payload = vec![AF_UNSPEC, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        payload.extend(nla(IFLA_IFNAME, b"e\x1b[2J\xff\0"));
        let link = LinkMessage {
            index: 9,
            name: "e\\u{1b}[2J\u{fffd}".into(),
            hardware: 1,
            ..LinkMessage::default()
        };
        assert_eq!(heard(&message(RTM_NEWLINK, &payload)), [Heard::Link(link)]);
    }

    #[test]
    fn of_a_point_to_point_link_the_own_address_counts() {
        let mut payload = vec![2, 32, 0, 0, 3, 0, 0, 0];
        payload.extend(nla(IFA_ADDRESS, &[10, 0, 0, 2]));
        payload.extend(nla(IFA_LOCAL, &[10, 0, 0, 1]));
        assert_eq!(heard(&message(RTM_NEWADDR, &payload)), [Heard::Address(3, [10, 0, 0, 1].into())]);
    }

    #[test]
    fn noise_is_read_without_harm() {
        let whole = message(RTM_NEWLINK, &[0; 40]);
        for cut in 0..whole.len() {
            heard(&whole[..cut]);
        }
        for byte in 0..=255u8 {
            let noise: Vec<u8> = (0..200u32).map(|place| (place as u8).wrapping_mul(byte) ^ byte).collect();
            heard(&noise);
            for kind in [RTM_NEWLINK, RTM_NEWADDR, RTM_NEWNSID, NLMSG_ERROR, NLMSG_DONE] {
                heard(&message(kind, &noise));
            }
        }
    }
}
