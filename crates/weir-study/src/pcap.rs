//! Reading a pcap file, to send what it holds again: which flows, in which order, in frames of which length.
//!
//! The classic format only: every tool can write it, and nothing that reads pcapng as well is both small and stable.

use anyhow::{Context, Result, bail, ensure};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::net::IpAddr;
use std::path::Path;

/// Most flows of a file.
pub const MAX_FLOWS: usize = 1 << 20;
/// Most packets of a file.
pub const MAX_PACKETS: usize = 1 << 22;
/// Most bytes that are captured of a packet, as libpcap has it.
const MAX_CAPTURED: usize = 262_144;
const ETHERNET: u16 = 1;

/// An IP packet of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Number of its flow, from 0 in the order in which they appear.
    pub flow: u32,
    /// Bytes of its frame on the wire. One that was recorded before it was cut into segments may have more
    /// than that can say: it counts as the greatest.
    pub length: u16,
    /// Its version of IP.
    pub ipv6: bool,
}

/// The IP packets of a file, in its order. Other frames are left out.
///
/// # Errors
/// It cannot be read, is not a pcap file of Ethernet frames, ends early, or holds no IP packet, more than
/// [`MAX_FLOWS`] flows or more than [`MAX_PACKETS`] packets.
pub fn read(path: &Path) -> Result<Vec<Packet>> {
    let packets = || parse(BufReader::new(File::open(path)?));
    packets().with_context(|| format!("cannot replay {}", path.display()))
}

fn parse(mut file: impl Read) -> Result<Vec<Packet>> {
    let big_endian = file_header(&mut file)?;
    let mut packets = Vec::new();
    let mut flows = Flows::default();
    let mut frame = Vec::new();
    for number in 1.. {
        let Some(original) = next_frame(&mut file, big_endian, number, &mut frame)? else { break };
        let Some(key) = Key::of(&frame) else { continue };
        ensure!(packets.len() < MAX_PACKETS, "it holds more than {MAX_PACKETS} packets");
        let length = u16::try_from(original).unwrap_or(u16::MAX);
        packets.push(Packet { flow: flows.number(key)?, length, ipv6: key.source.is_ipv6() });
    }
    ensure!(!packets.is_empty(), "it holds no IP packet");
    Ok(packets)
}

/// Reads the header. Whether the file is written in big-endian byte order.
fn file_header(file: &mut impl Read) -> Result<bool> {
    const NOT_PCAP: &str = "it is not a pcap file";
    let magic: [u8; 4] = array(file, NOT_PCAP)?;
    // With microseconds or nanoseconds: when a packet came makes no difference here.
    let big_endian = match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => true,
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => false,
        [0x0a, 0x0d, 0x0d, 0x0a] => {
            bail!("it is in the pcapng format; `editcap -F pcap OLD NEW` makes a pcap file of it")
        }
        _ => bail!(NOT_PCAP),
    };
    // Version, time zone, accuracy, bytes captured at most; then the type, under bits that tell of checksums.
    let rest: [u8; 20] = array(file, "it ends within its header")?;
    let link_type = word(&rest, 16, big_endian) as u16;
    ensure!(link_type == ETHERNET, "its link type is {link_type}, not Ethernet (1)");
    Ok(big_endian)
}

/// Reads what was captured of frame `number` into `frame`. Its length on the wire; nothing at the end of the file.
fn next_frame(
    file: &mut impl Read,
    big_endian: bool,
    number: usize,
    frame: &mut Vec<u8>,
) -> Result<Option<u32>> {
    let cut = || format!("it ends within frame {number}");
    let mut header = [0; 16];
    if read_up_to(file, &mut header[..1])? == 0 {
        return Ok(None);
    }
    ensure!(read_up_to(file, &mut header[1..])? == 15, cut());
    let captured = word(&header, 8, big_endian) as usize;
    ensure!(captured <= MAX_CAPTURED, "frame {number} is said to have {captured} bytes: the file is damaged");
    frame.resize(captured, 0);
    ensure!(read_up_to(file, frame)? == captured, cut());
    Ok(Some(word(&header, 12, big_endian)))
}

fn array<const N: usize>(file: &mut impl Read, otherwise: &'static str) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    ensure!(read_up_to(file, &mut bytes)? == N, otherwise);
    Ok(bytes)
}

/// Reads until `bytes` are full or the file ends. How many.
fn read_up_to(file: &mut impl Read, bytes: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

fn word<const N: usize>(bytes: &[u8; N], at: usize, big_endian: bool) -> u32 {
    let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    /// 0 without TCP and UDP, and in fragments, of which only the first would have them.
    ports: (u16, u16),
}

impl Key {
    /// Nothing if it is no IP packet.
    fn of(frame: &[u8]) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let (source, destination, payload) = match packet.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into(), ip.payload())
            }
            LaxNetSlice::Ipv6(ip) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into(), ip.payload())
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let ports = match &packet.transport {
            _ if payload.fragmented => (0, 0),
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
            _ => (0, 0),
        };
        Some(Self { source, destination, protocol: payload.ip_number.0, ports })
    }
}

#[derive(Default)]
struct Flows(HashMap<Key, u32>);

impl Flows {
    fn number(&mut self, key: Key) -> Result<u32> {
        let next = self.0.len();
        let number = *self.0.entry(key).or_insert(next as u32);
        ensure!(self.0.len() <= MAX_FLOWS, "it holds more than {MAX_FLOWS} flows");
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
