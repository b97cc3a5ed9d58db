//! NetFlow version 5, as far as flows are to be counted.

use std::net::Ipv4Addr;

const HEADER: usize = 24;
const RECORD: usize = 48;

/// A datagram: some flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Flows that were sent before.
    pub sequence: u32,
    /// Those in it.
    pub flows: Vec<Flow>,
}

/// A flow, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    pub source: (Ipv4Addr, u16),
    pub destination: (Ipv4Addr, u16),
    pub protocol: u8,
    pub packets: u32,
}

/// Nothing if it is no datagram of this version, or has not all flows that it says to have.
pub fn parse(bytes: &[u8]) -> Option<Datagram> {
    let (header, records) = bytes.split_first_chunk::<HEADER>()?;
    let count = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != [0, 5] || records.len() != count * RECORD {
        return None;
    }
    let sequence = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    Some(Datagram { sequence, flows: records.as_chunks().0.iter().map(flow).collect() })
}

fn flow(record: &[u8; RECORD]) -> Flow {
    let long = |at: usize| u32::from_be_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let short = |at: usize| u16::from_be_bytes([record[at], record[at + 1]]);
    Flow {
        source: (Ipv4Addr::from_bits(long(0)), short(32)),
        destination: (Ipv4Addr::from_bits(long(4)), short(34)),
        protocol: record[38],
        packets: long(16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn datagram(sequence: u32, flows: &[Flow]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + RECORD * flows.len()];
        bytes[1] = 5;
        bytes[2..4].copy_from_slice(&(flows.len() as u16).to_be_bytes());
        bytes[16..20].copy_from_slice(&sequence.to_be_bytes());
        for (record, flow) in bytes[HEADER..].chunks_mut(RECORD).zip(flows) {
            record[..4].copy_from_slice(&flow.source.0.octets());
            record[4..8].copy_from_slice(&flow.destination.0.octets());
            record[16..20].copy_from_slice(&flow.packets.to_be_bytes());
            record[32..34].copy_from_slice(&flow.source.1.to_be_bytes());
            record[34..36].copy_from_slice(&flow.destination.1.to_be_bytes());
            record[38] = flow.protocol;
        }
        bytes
    }

    /// From softflowd 1.1.0, its last record only: 25 packets from 10.9.0.1:57527 to 10.9.0.2:10029.
    const EXPORTED: &str = "00050001000005e96b03905a30bc2a700000002800000000\
                            0a0900010a0900020000000000000000000000190000047e\
                            0000045c00000462e0b7272d000011000000000000000000";

    #[test]
    fn what_softflowd_has_sent_is_read() {
        let digits: Vec<_> = EXPORTED.bytes().collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| byte(pair).expect("hexadecimal")).collect();
        let flow = Flow {
            source: ([10, 9, 0, 1].into(), 57527),
            destination: ([10, 9, 0, 2].into(), 10029),
            protocol: 17,
            packets: 25,
        };
        assert_eq!(parse(&bytes), Some(Datagram { sequence: 40, flows: vec![flow] }));
    }

    #[test]
    fn what_is_cut_short_or_of_another_version_is_refused() {
        let none = Flow {
            source: (Ipv4Addr::LOCALHOST, 1),
            destination: (Ipv4Addr::LOCALHOST, 2),
            protocol: 17,
            packets: 3,
        };
        let whole = datagram(9, &[none; 30]);
        assert_eq!(parse(&whole), Some(Datagram { sequence: 9, flows: vec![none; 30] }));
        assert_eq!(parse(&whole[..whole.len() - 1]), None);
        assert_eq!(parse(&whole[..HEADER - 1]), None);
        let mut other = whole;
        other[1] = 9;
        assert_eq!(parse(&other), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, count: u16) {
            let _ = parse(&bytes);
            let mut bytes = [&[0, 5][..], &count.to_be_bytes(), &bytes].concat();
            let _ = parse(&bytes);
            bytes.resize(HEADER + RECORD * usize::from(count % 40), 0);
            bytes[2..4].copy_from_slice(&(count % 40).to_be_bytes());
            prop_assert_eq!(parse(&bytes).map(|datagram| datagram.flows.len()), Some(usize::from(count % 40)));
        }
    }
}
