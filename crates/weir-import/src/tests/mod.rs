//! Files made here, whole and not.

mod captures;
mod files;
mod flows;
mod property;

use crate::{Error, Report, Timeouts, read};
use etherparse::PacketBuilder;
use std::time::Duration;
use weir_record::FlowRecord;

pub const SECOND: u64 = 1_000_000_000;

/// All records of a file, and its report.
pub fn imported(bytes: &[u8]) -> Result<(Vec<FlowRecord>, Report), Error> {
    let timeouts = Timeouts { idle: Duration::from_secs(15), active: Duration::from_secs(60) };
    let mut records = Vec::new();
    let mut take = |record| {
        records.push(record);
        Ok(())
    };
    let report = read(bytes, "trace", timeouts, &mut take)?;
    Ok((records, report))
}

/// What cannot be: it is read.
pub fn whole(bytes: &[u8]) -> Vec<FlowRecord> {
    let (records, report) = imported(bytes).expect("it is read");
    assert_eq!((report.broken.as_deref(), report.left_out.len()), (None, 0));
    assert_eq!((report.read, report.records), (report.recorded, records.len() as u64));
    records
}

/// A frame of UDP from the first host to the second, or back.
pub fn udp(from: u16, to: u16, payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]);
    let ends = if from < to { ([10, 0, 0, 2], [10, 0, 0, 1]) } else { ([10, 0, 0, 1], [10, 0, 0, 2]) };
    let builder = builder.ipv4(ends.0, ends.1, 64).udp(from, to);
    let mut bytes = vec![0; builder.size(payload)];
    builder.write_to_slice(&mut bytes, &vec![0; payload]).expect("there is room");
    bytes
}

/// A frame of TCP with these flags from one of two hosts to the other.
pub fn tcp(back: bool, flags: u8) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]);
    let builder = match back {
        false => builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(40_000, 80, 0, 0),
        true => builder.ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64).tcp(80, 40_000, 0, 0),
    };
    let mut bytes = vec![0; builder.size(0)];
    builder.write_to_slice(&mut bytes, &[]).expect("there is room");
    bytes[14 + 20 + 13] = flags;
    bytes
}

/// A capture of libpcap's with microseconds, in the machine's usual order.
pub fn pcap(link_type: u32, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link_type] {
        file.extend(word.to_le_bytes());
    }
    for (time, frame) in packets {
        let micros = (time % SECOND / 1000) as u32;
        for word in [(time / SECOND) as u32, micros, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    file
}

/// A block of Wireshark's.
pub fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let word = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = word(body.len() as u32 + 12);
    [&word(kind), &length, &body[..], &length].concat()
}

/// A file of nfcapd: one block of records, a TCP flow and one of UDP over IPv6.
pub fn nfcapd(compression: u8) -> Vec<u8> {
    let mut records = flow(6, (40_000, 80), &[10, 0, 0, 1, 10, 0, 0, 2]);
    records.extend(flow(17, (5_000, 53), &[[0xfd; 16], [0xfe; 16]].concat()));
    let block = match compression {
        3 => lz4_flex::block::compress(&records),
        _ => records,
    };
    let mut file = vec![0; 40];
    file[..4].copy_from_slice(&[0x0c, 0xa5, 2, 0]);
    file[16] = compression;
    file[32..36].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    file[36] = 1;
    file.extend(2_u32.to_le_bytes());
    file.extend((block.len() as u32).to_le_bytes());
    file.extend([3, 0, 0, 0]);
    file.extend(block);
    file
}

fn flow(protocol: u8, ports: (u16, u16), addresses: &[u8]) -> Vec<u8> {
    let mut generic = Vec::new();
    for number in [1_700_000_000_000_u64, 1_700_000_001_500, 0, 7, 700] {
        generic.extend(number.to_le_bytes());
    }
    generic.extend([ports.0, ports.1].map(u16::to_le_bytes).concat());
    generic.extend([protocol, 0x1b, 0, 0xb8, 0, 0, 0, 0]);
    // Each half of an address, or the whole of a short one, has its last byte first.
    let mut swapped = addresses.to_vec();
    let unit = if addresses.len() == 8 { 4 } else { 8 };
    swapped.chunks_mut(unit).for_each(<[u8]>::reverse);
    let element = |kind: u16, value: &[u8]| {
        [&kind.to_le_bytes(), &(value.len() as u16 + 4).to_le_bytes(), value].concat()
    };
    let kind = if unit == 4 { 2 } else { 3 };
    let elements = [element(1, &generic), element(99, &[1, 2, 3]), element(kind, &swapped)].concat();
    let size = elements.len() as u16 + 12;
    [&11_u16.to_le_bytes()[..], &size.to_le_bytes(), &[3, 0, 0, 0, 0, 0, 0, 0], &elements].concat()
}
