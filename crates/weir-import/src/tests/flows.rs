//! Which conversations packets make, and when their records end.

use super::*;
use weir_record::{Evidence, FlowEndReason, TcpState};

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;

fn told(packets: &[(u64, Vec<u8>)]) -> Vec<(u64, u64, FlowEndReason)> {
    let mut records = whole(&pcap(1, packets));
    records.sort_by_key(|record| record.start);
    let back = |record: &FlowRecord| record.reverse.map_or(0, |reverse| reverse.count.packets);
    records.iter().map(|record| (record.packets, back(record), record.end_reason)).collect()
}

#[test]
fn both_directions_are_one_record_from_who_began() {
    let packets: Vec<_> = [(true, SYN | ACK), (false, ACK), (false, FIN | ACK), (true, FIN | ACK)]
        .into_iter()
        .zip(1..)
        .map(|((back, flags), millisecond)| (SECOND + millisecond * 1_000_000, tcp(back, flags)))
        .collect();
    let records = whole(&pcap(1, &packets));
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.key.ports(), Some((40_000, 80)), "though the other end was seen first");
    let back = record.reverse.expect("both directions");
    assert_eq!((record.packets, back.count.packets, back.evidence), (2, 2, Evidence::Syn));
    assert_eq!(
        (record.tcp_state, record.end_reason),
        (Some(TcpState::Closed), FlowEndReason::EndOfFlowDetected)
    );
    assert_eq!((record.start, record.end), (packets[0].0, packets[3].0));
    assert_eq!(record.observations.len(), 2);
}

#[test]
fn records_end_by_the_clock_of_the_packets() {
    use FlowEndReason::{ActiveTimeout, ForcedEnd, IdleTimeout};
    let at = |seconds: u64| (seconds * SECOND, udp(5000, 53, 1));
    assert_eq!(told(&[at(100), at(110), at(130)]), [(2, 0, IdleTimeout), (1, 0, ForcedEnd)]);
    let steady: Vec<_> = (100..170).map(at).collect();
    assert_eq!(told(&steady), [(60, 0, ActiveTimeout), (10, 0, ForcedEnd)]);
    let ids: Vec<_> = whole(&pcap(1, &steady)).iter().map(|record| record.flow_id).collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_clock_that_is_put_back_ends_what_was_open() {
    let at = |seconds: u64| (seconds * SECOND, udp(5000, 53, 1));
    let reasons = told(&[at(5000), at(5001), at(100), at(101), at(200)]);
    let packets: Vec<_> = reasons.iter().map(|(packets, ..)| *packets).collect();
    assert_eq!(packets, [2, 1, 2]);
    // Packets out of order by less than that are of one record.
    assert_eq!(told(&[at(110), at(105), at(112)]).len(), 1);
}

#[test]
fn a_later_fragment_is_of_the_flow_of_the_first() {
    let mut first = udp(5000, 53, 64);
    first[14 + 6] |= 0x20;
    let mut later = udp(5000, 53, 64);
    later[14 + 7] = 9;
    let both = [(SECOND, first), (SECOND + 1_000_000, later.clone())];
    let records = whole(&pcap(1, &both));
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!((record.packets, record.fragmented, record.key.ports()), (2, true, Some((5000, 53))));
    let orphan = whole(&pcap(1, &[(SECOND, later)]));
    assert_eq!((orphan[0].key.ports(), orphan[0].key.protocol()), (None, Some(17)));
}

#[test]
fn what_is_not_ip_is_known_by_its_ethertype() {
    let mut arp = vec![0xff; 60];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let records = whole(&pcap(1, &[(SECOND, arp), (SECOND, Vec::new())]));
    let mut types: Vec<_> = records.iter().map(|record| record.key.ethertype()).collect();
    types.sort_unstable();
    assert_eq!(types, [0, 0x0806]);
}
