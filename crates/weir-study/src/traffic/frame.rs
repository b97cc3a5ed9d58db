//! Frames, byte by byte.

use super::ports;
use super::schedule::Step;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of the stamp: who has sent a packet, and its number.
pub const STAMP: usize = 16;
/// STAMP_MAGIC in `traffic.bpf.c`.
const MAGIC: u32 = 0x7765_6972;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const PROTOCOL_UDP: u8 = 17;
const HOPS: u8 = 64;

/// Where frames come from, and where they go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Ethernet addresses of both.
    pub macs: [[u8; 6]; 2],
    /// IPv4 addresses of both.
    pub ipv4: [Ipv4Addr; 2],
    /// IPv6 addresses of both.
    pub ipv6: [Ipv6Addr; 2],
}

/// What a stamp says: in the order of the machine's bytes, which both ends share.
pub fn stamp(sender: u32, sequence: u64) -> [u8; STAMP] {
    let mut stamp = [0; STAMP];
    stamp[..4].copy_from_slice(&MAGIC.to_ne_bytes());
    stamp[4..8].copy_from_slice(&sender.to_ne_bytes());
    stamp[8..].copy_from_slice(&sequence.to_ne_bytes());
    stamp
}

/// Makes frames.
#[derive(Debug, Clone)]
pub struct Frames {
    ipv4: [u8; ETHERNET + IPV4 + UDP],
    ipv6: [u8; ETHERNET + IPV6 + UDP],
    ends: Ends,
}

impl Frames {
    /// From one end to the other.
    pub fn between(ends: Ends) -> Self {
        let mut ipv4 = [0; ETHERNET + IPV4 + UDP];
        let mut ipv6 = [0; ETHERNET + IPV6 + UDP];
        for frame in [&mut ipv4[..], &mut ipv6[..]] {
            frame[..6].copy_from_slice(&ends.macs[1]);
            frame[6..12].copy_from_slice(&ends.macs[0]);
        }
        ipv4[12..14].copy_from_slice(&[0x08, 0x00]);
        let ip = &mut ipv4[ETHERNET..];
        (ip[0], ip[8], ip[9]) = (0x45, HOPS, PROTOCOL_UDP);
        ip[12..16].copy_from_slice(&ends.ipv4[0].octets());
        ip[16..20].copy_from_slice(&ends.ipv4[1].octets());
        ipv6[12..14].copy_from_slice(&[0x86, 0xdd]);
        let ip = &mut ipv6[ETHERNET..];
        (ip[0], ip[6], ip[7]) = (0x60, PROTOCOL_UDP, HOPS);
        ip[8..24].copy_from_slice(&ends.ipv6[0].octets());
        ip[24..40].copy_from_slice(&ends.ipv6[1].octets());
        Self { ipv4, ipv6, ends }
    }

    /// Both headers without what differs from packet to packet: for the generator in the kernel.
    pub fn headers(&self) -> [[u8; 64]; 2] {
        let mut headers = [[0; 64]; 2];
        headers[0][..self.ipv4.len()].copy_from_slice(&self.ipv4);
        headers[1][..self.ipv6.len()].copy_from_slice(&self.ipv6);
        headers
    }

    /// Writes the frame of `step`; its length. A buffer that is too small stays as it is.
    pub fn write(&self, frame: &mut [u8], step: Step, stamp: [u8; STAMP]) -> usize {
        let length = usize::from(step.length);
        let headers: &[u8] = if step.ipv6 { &self.ipv6 } else { &self.ipv4 };
        let Some(frame) = frame.get_mut(..length).filter(|frame| frame.len() >= headers.len() + STAMP) else {
            return 0;
        };
        frame[..headers.len()].copy_from_slice(headers);
        frame[headers.len()..headers.len() + STAMP].copy_from_slice(&stamp);
        frame[headers.len() + STAMP..].fill(0);
        if step.ipv6 {
            self.finish_ipv6(frame, step.flow)
        } else {
            finish_ipv4(frame, step.flow)
        }
        length
    }

    /// UDP over IPv6 must have a checksum (RFC 8200, section 8.1).
    fn finish_ipv6(&self, frame: &mut [u8], flow: u32) {
        let length = (frame.len() - ETHERNET - IPV6) as u16;
        frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
        let udp = &mut frame[ETHERNET + IPV6..];
        set_udp(udp, flow, length);
        let addresses = self.ends.ipv6.iter().flat_map(Ipv6Addr::octets).collect::<Vec<u8>>();
        let pseudo = u32::from(length) + u32::from(PROTOCOL_UDP);
        let sum = !fold(pseudo + sum(&addresses) + sum(udp));
        udp[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    }
}

fn finish_ipv4(frame: &mut [u8], flow: u32) {
    let length = (frame.len() - ETHERNET) as u16;
    let (ip, udp) = frame[ETHERNET..].split_at_mut(IPV4);
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    let checksum = !fold(sum(ip));
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    set_udp(udp, flow, length - IPV4 as u16);
}

fn set_udp(udp: &mut [u8], flow: u32, length: u16) {
    let (source, destination) = ports::of(flow);
    udp[..2].copy_from_slice(&source.to_be_bytes());
    udp[2..4].copy_from_slice(&destination.to_be_bytes());
    udp[4..6].copy_from_slice(&length.to_be_bytes());
}

/// Of 16-bit words (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    bytes.chunks(2).map(word).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Addresses and ports of a frame, as the kernel's programs write them down (`struct plain_key`); nothing for a frame
/// that is not UDP right behind plain headers.
pub fn key_of(frame: &[u8]) -> Option<[u64; 6]> {
    let word = |offset: usize| frame.get(offset..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
    let ports =
        |offset: usize| frame.get(offset..)?.first_chunk().map(|bytes| u64::from(u32::from_ne_bytes(*bytes)));
    match frame.get(12..14)? {
        [0x08, 0x00] if frame.get(ETHERNET + 9) == Some(&PROTOCOL_UDP) => {
            Some([word(ETHERNET + 12)?, 0, 0, 0, ports(ETHERNET + IPV4)?, PROTOCOL_UDP.into()])
        }
        [0x86, 0xdd] if frame.get(ETHERNET + 6) == Some(&PROTOCOL_UDP) => Some([
            word(ETHERNET + 8)?,
            word(ETHERNET + 16)?,
            word(ETHERNET + 24)?,
            word(ETHERNET + 32)?,
            ports(ETHERNET + IPV6)?,
            PROTOCOL_UDP.into(),
        ]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{PacketHeaders, TransportHeader};

    fn frames() -> Frames {
        Frames::between(Ends {
            macs: [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]],
            ipv4: [Ipv4Addr::new(172, 31, 0, 1), Ipv4Addr::new(172, 31, 0, 2)],
            ipv6: ["fd31::1", "fd31::2"].map(|address| address.parse().expect("it is an address")),
        })
    }

    /// Another parser reads back what was written, and finds its checksums right.
    #[test]
    fn frames_are_what_they_should_be() {
        for (ipv6, length) in [(false, 60), (false, 1514), (true, 78), (true, 591)] {
            let step = Step { flow: 70_001, length, ipv6 };
            let mut buffer = [0xaa; 2048];
            assert_eq!(frames().write(&mut buffer, step, stamp(3, 99)), usize::from(length));
            let packet =
                PacketHeaders::from_ethernet_slice(&buffer[..usize::from(length)]).expect("it is a frame");
            let Some(TransportHeader::Udp(udp)) = packet.transport else { panic!("no UDP") };
            assert_eq!((udp.source_port, udp.destination_port), ports::of(70_001));
            let payload = packet.payload.slice();
            assert_eq!(payload[..STAMP], stamp(3, 99));
            match packet.net.expect("there is an IP header") {
                etherparse::NetHeaders::Ipv4(ip, _) => {
                    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                    assert_eq!(ip.total_len, length - 14);
                }
                etherparse::NetHeaders::Ipv6(ip, _) => {
                    let sum = udp.calc_checksum_ipv6(&ip, payload).expect("it is not too long");
                    assert_eq!(udp.checksum, sum);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_buffer_that_is_too_small_stays_as_it_is() {
        let step = Step { flow: 0, length: 60, ipv6: false };
        assert_eq!(frames().write(&mut [0; 59], step, stamp(0, 0)), 0);
    }
}
