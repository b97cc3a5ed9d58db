//! sock_diag's messages (sock_diag(7)), as far as they matter here: the ends of sockets, their state, whose they are.

use super::{Fared, SocketState};
use crate::decode::ipv6;
use crate::netlink::{HEADER, attributes, error, messages};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

// include/uapi/linux/sock_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// Of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Of `struct inet_diag_msg`.
const MESSAGE: usize = 72;
/// The attribute with `struct tcp_info`, which only sockets of TCP have. It is asked for by the bit before its number.
const INET_DIAG_INFO: u16 = 2;
/// TCP's states, from 1 (established) to 12 (a connection that is asked for); other protocols use some of them.
const EVERY_STATE: u32 = 0x1ffe;
/// What is not open any more (a connection in TIME_WAIT) has none.
const NO_INODE: u32 = 0;

pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// A socket, in the kernel's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) protocol: u8,
    pub(super) state: SocketState,
    pub(super) local: SocketAddr,
    pub(super) remote: Option<SocketAddr>,
    /// Its number among files and its user, while it is open.
    pub(super) file: Option<(u32, u32)>,
    /// How a connection of TCP has fared.
    pub(super) fared: Option<Fared>,
}

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// There is a socket.
    Socket(Listed),
    /// The request has been done, or refused with this error number.
    Done(i32),
}

/// Asks for all sockets of a family and protocol.
pub(super) fn request(family: u8, protocol: u8) -> Vec<u8> {
    let mut message = NetlinkBuffer::new(vec![0; HEADER + REQUEST]);
    message.set_length((HEADER + REQUEST) as u32);
    message.set_message_type(SOCK_DIAG_BY_FAMILY);
    message.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    let mut bytes = message.into_inner();
    bytes[HEADER..HEADER + 3].copy_from_slice(&[family, protocol, 1 << (INET_DIAG_INFO - 1)]);
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&EVERY_STATE.to_ne_bytes());
    bytes
}

/// Asks for the socket of TCP that has these two ends.
pub(super) fn request_for(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut bytes = request(family, TCP);
    // One, not a list: the flags of `struct nlmsghdr`. No more about it than what it always says.
    bytes[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    bytes[HEADER + 2] = 0;
    // `struct inet_diag_sockid`: ports, addresses, the interface, and a cookie that stands for any.
    let id = HEADER + 8;
    for (place, end) in [local, remote].into_iter().enumerate() {
        let (port, address) = (id + 2 * place, id + 4 + 16 * place);
        bytes[port..port + 2].copy_from_slice(&end.port().to_be_bytes());
        match end.ip() {
            IpAddr::V4(ip) => bytes[address..address + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes[address..address + 16].copy_from_slice(&ip.octets()),
        }
    }
    bytes[id + 40..id + 48].fill(0xff);
    bytes
}

/// Reads everything in `datagram`, of an answer about `protocol`.
pub(super) fn read(datagram: &[u8], protocol: u8, mut hear: impl FnMut(Heard)) {
    for message in messages(datagram) {
        let payload = message.payload();
        let heard = match message.message_type() {
            NLMSG_ERROR | NLMSG_DONE => Some(Heard::Done(error(payload))),
            SOCK_DIAG_BY_FAMILY => socket(payload, protocol).map(Heard::Socket),
            _ => None,
        };
        heard.into_iter().for_each(&mut hear);
    }
}

/// `struct inet_diag_msg`: family, state, two bytes, then the ports, the addresses, and the rest; attributes after it.
fn socket(payload: &[u8], protocol: u8) -> Option<Listed> {
    let (family, state) = (*payload.first()?, *payload.get(1)?);
    let port = |at: usize| Some(u16::from_be_bytes(*payload.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_ne_bytes(*payload.get(at..)?.first_chunk()?));
    let local = SocketAddr::new(address(payload.get(8..24)?, family)?, port(4)?);
    let remote = SocketAddr::new(address(payload.get(24..40)?, family)?, port(6)?);
    let (user, inode) = (word(64)?, word(68)?);
    let state = SocketState::of(protocol, state);
    let info = attributes(payload, MESSAGE).find(|one| one.kind() == INET_DIAG_INFO && !state.serves());
    Some(Listed {
        protocol,
        state,
        local,
        remote: (remote.port() != 0).then_some(remote),
        file: (inode != NO_INODE).then_some((inode, user)),
        fared: info.and_then(|info| Fared::read(info.value())),
    })
}

/// IPv4 comes out of IPv6, as everywhere.
fn address(bytes: &[u8], family: u8) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        AF_INET6 => {
            let half = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
            Some(ipv6([half(0)?, half(8)?]).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `struct tcp_info` of a connection whose round trip takes 1.5 ms, and that has sent 3 segments again.
    fn info() -> [u8; 232] {
        let mut info = [0; 232];
        info[68..72].copy_from_slice(&1500_u32.to_ne_bytes());
        info[100..104].copy_from_slice(&3_u32.to_ne_bytes());
        info[208..216].copy_from_slice(&4344_u64.to_ne_bytes());
        info
    }

    /// As the kernel writes it, with attributes behind it.
    fn message(
        family: u8,
        state: u8,
        [local, remote]: [([u8; 16], u16); 2],
        [user, inode]: [u32; 2],
    ) -> Vec<u8> {
        let mut payload = vec![family, state, 0, 0];
        payload.extend(local.1.to_be_bytes());
        payload.extend(remote.1.to_be_bytes());
        payload.extend(local.0);
        payload.extend(remote.0);
        payload.extend([0; 24]);
        payload.extend(user.to_ne_bytes());
        payload.extend(inode.to_ne_bytes());
        payload.extend([5, 0, 8, 0, 1, 0, 0, 0]);
        payload.extend((4 + info().len() as u16).to_ne_bytes());
        payload.extend(INET_DIAG_INFO.to_ne_bytes());
        payload.extend(info());
        let mut message = NetlinkBuffer::new(vec![0; HEADER]);
        message.set_message_type(SOCK_DIAG_BY_FAMILY);
        message.set_length((HEADER + payload.len()) as u32);
        [message.into_inner(), payload].concat()
    }

    fn heard(datagram: &[u8], protocol: u8) -> Vec<Heard> {
        let mut all = Vec::new();
        read(datagram, protocol, |one| all.push(one));
        all
    }

    fn v4(address: [u8; 4]) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&address);
        bytes
    }

    const ANY: ([u8; 16], u16) = ([0; 16], 0);

    #[test]
    fn sockets_are_read() {
        let connected = message(AF_INET, 1, [(v4([10, 0, 0, 1]), 80), (v4([10, 0, 0, 2]), 4000)], [7, 99]);
        let mapped = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
        let bound = message(AF_INET6, 10, [(mapped, 80), ANY], [7, 0]);
        let first = Listed {
            protocol: TCP,
            state: SocketState::Established,
            local: SocketAddr::from(([10, 0, 0, 1], 80)),
            remote: Some(SocketAddr::from(([10, 0, 0, 2], 4000))),
            file: Some((99, 7)),
            fared: Some(Fared { rtt: Some(1_500), retransmitted_segments: 3, retransmitted_bytes: 4344 }),
        };
        let second = Listed { state: SocketState::Listen, remote: None, file: None, fared: None, ..first };
        let both = [connected, bound].concat();
        assert_eq!(heard(&both, TCP), [Heard::Socket(first), Heard::Socket(second)]);
    }

    #[test]
    fn what_is_asked_is_where_the_kernel_looks_for_it() {
        let bytes = request(AF_INET6, UDP);
        assert_eq!(bytes.len(), HEADER + REQUEST);
        assert_eq!(
            bytes[HEADER..HEADER + 8],
            [&[AF_INET6, UDP, 1 << 1, 0][..], &EVERY_STATE.to_ne_bytes()].concat()
        );
    }

    proptest! {
        #[test]
        fn noise_is_read_without_harm(
            cut in any::<u16>(), noise in prop::collection::vec(any::<(u16, u8)>(), 0..20), protocol in any::<u8>()
        ) {
            let mut bytes = message(AF_INET6, 1, [([1; 16], 1), ([2; 16], 2)], [3, 4]).repeat(2);
            for (place, byte) in noise {
                let place = usize::from(place) % bytes.len();
                bytes[place] = byte;
            }
            bytes.truncate(usize::from(cut) % (bytes.len() + 1));
            heard(&bytes, protocol);
        }
    }
}
