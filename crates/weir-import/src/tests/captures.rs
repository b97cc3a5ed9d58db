//! What captures may look like: orders, clocks, sections, link types.

use super::*;
use weir_record::{Count, Direction};

/// A capture of Wireshark's of one frame, with these options of its interface and packet.
fn pcapng(big: bool, ticks: u64, frame: &[u8], interface: &[u8], packet: &[u8]) -> Vec<u8> {
    let word = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let half = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &word(u32::MAX), &word(u32::MAX)].concat();
    let described = [&half(1)[..], &half(0), &word(0), interface].concat();
    let mut data = frame.to_vec();
    data.resize(frame.len().next_multiple_of(4), 0);
    let length = word(frame.len() as u32);
    let captured =
        [&word(0)[..], &word((ticks >> 32) as u32), &word(ticks as u32), &length, &length, &data, packet]
            .concat();
    [
        block(big, 0x0a0d_0d0a, &section),
        block(big, 1, &described),
        block(big, 99, &[1]),
        block(big, 6, &captured),
    ]
    .concat()
}

#[test]
fn a_classic_capture_in_either_order_and_resolution() {
    let frame = udp(5000, 53, 10);
    for (magic, big, unit) in [
        (0xa1b2_c3d4_u32, false, 1000),
        (0xa1b2_c3d4, true, 1000),
        (0xa1b2_3c4d, false, 1),
        (0xa1b2_3c4d, true, 1),
    ] {
        let word = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let mut file = [magic, 0, 0, 0, 65_535, 1].map(word).concat();
        // Half of it was captured.
        file.extend([1_700_000_000, 7, 40, frame.len() as u32].map(word).concat());
        file.extend_from_slice(&frame[..40]);
        let records = whole(&file);
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.start, 1_700_000_000 * SECOND + 7 * unit);
        assert_eq!((record.packets, record.bytes), (1, 52));
        assert_eq!(record.key.ports(), Some((5000, 53)));
        assert_eq!((&*record.interface.name, &*record.interface.netns), ("trace", "import:trace"));
    }
}

#[test]
fn a_capture_of_wireshark_in_either_order() {
    let frame = udp(5000, 53, 10);
    for big in [false, true] {
        let half = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        // A name; 2^-20 of a second; an hour's offset; the packet went out.
        let name = [&half(2)[..], &half(4), b"eth7"].concat();
        let clock = [&half(9)[..], &half(1), &[0x80 | 20, 0, 0, 0]].concat();
        let hour = if big { 3600_u64.to_be_bytes() } else { 3600_u64.to_le_bytes() };
        let offset = [&half(14)[..], &half(8), &hour].concat();
        let flags = if big { [0, 0, 0, 2] } else { [2, 0, 0, 0] };
        let flags = [&half(2)[..], &half(4), &flags].concat();
        let file = pcapng(big, 3 << 19, &frame, &[name, clock, offset].concat(), &flags);
        let records = whole(&file);
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.start, 3601 * SECOND + SECOND / 2);
        assert_eq!((&*record.interface.name, record.direction), ("eth7", Direction::Egress));
        // A second section begins anew; its interface is another one.
        assert_eq!(whole(&[&file[..], &file].concat()).len(), 2);
    }
}

#[test]
fn what_says_no_time_or_place_is_left_out_and_counted() {
    let frame = udp(5000, 53, 10);
    let mut file = pcapng(false, 1, &frame, &[], &[]);
    let simple = [&(frame.len() as u32).to_le_bytes()[..], &frame].concat();
    file.extend(block(false, 3, &simple));
    let stray = [&9_u32.to_le_bytes()[..], &[0; 8], &[0; 4], &60_u32.to_le_bytes()].concat();
    file.extend(block(false, 6, &stray));
    let (records, report) = imported(&file).expect("it is read");
    assert_eq!((records.len(), report.read.packets, report.recorded.packets), (1, 3, 1));
    let said: Vec<_> = report.left_out.iter().map(|(cause, left)| (cause.to_string(), left.count)).collect();
    assert_eq!(
        said,
        [
            ("packets without a usable time".into(), Count { packets: 1, bytes: 52 }),
            (
                "packets of an interface that the file does not describe".into(),
                Count { packets: 1, bytes: 60 }
            ),
        ]
    );
}

#[test]
fn link_types_begin_where_they_begin() {
    let frame = udp(5000, 53, 10);
    let ip = &frame[14..];
    let cooked = |packet_type: u8| [&[0, packet_type, 0, 1, 0, 6][..], &[0; 8], &[8, 0], ip].concat();
    let second = [&[8, 0, 0, 0, 0, 0, 0, 9, 0, 1, 4, 6][..], &[0; 8], ip].concat();
    let tun = [&[0, 4, 0xff, 0xfe, 0, 0][..], &[0; 8], &[8, 0], ip].concat();
    for (link_type, data, bytes, direction, index) in [
        (1, frame.clone(), 52, Direction::Ingress, 0),
        (101, ip.to_vec(), 38, Direction::Ingress, 0),
        (228, ip.to_vec(), 38, Direction::Ingress, 0),
        (0, [&[2, 0, 0, 0][..], ip].concat(), 38, Direction::Ingress, 0),
        (108, [&[0, 0, 0, 2][..], ip].concat(), 38, Direction::Ingress, 0),
        // The link layer that they stand for is counted as it was on the wire.
        (113, cooked(0), 52, Direction::Ingress, 0),
        (113, cooked(4), 52, Direction::Egress, 0),
        (113, tun, 38, Direction::Egress, 0),
        (276, second, 52, Direction::Egress, 9),
    ] {
        let records = whole(&pcap(link_type, &[(SECOND, data)]));
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.key.ports(), Some((5000, 53)), "{link_type}");
        assert_eq!(
            (record.bytes, record.direction, record.interface.index),
            (bytes, direction, index),
            "{link_type}"
        );
    }
    let (_, report) = imported(&pcap(105, &[(1, frame)])).expect("it is read");
    let said: Vec<_> = report.left_out.keys().map(ToString::to_string).collect();
    assert_eq!(said, ["packets of link type 105, which is not known"]);
}
