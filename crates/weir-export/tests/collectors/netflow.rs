//! NetFlow 9 and 5, as nfcapd and tshark read them.

use crate::nfcapd::{Flow, Nfcapd};
use crate::records::{key, record, records};
use crate::{Sums, add, peer, random, read_by_tshark, said};
use jiff::Timestamp;
use weir_export::Sent;
use weir_record::{Direction, FlowRecord};
use weir_tests::folder::Folder;

/// What was collected of these, and what was said of their sending.
fn collected(scheme: &str, records: &[FlowRecord]) -> (Vec<Flow>, Sent) {
    let folder = Folder::new("netflow");
    let nfcapd = Nfcapd::start(&folder, "flows");
    let sent = peer(&format!("{scheme}://127.0.0.1:{}?domain=258", nfcapd.port)).send(records);
    (nfcapd.stop(), sent.expect("sent"))
}

/// Its start or end, as nfdump has it.
fn time(nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(nanos.into()).expect("a time");
    let millisecond = time.as_millisecond().rem_euclid(1000);
    format!("{}.{millisecond:03}", time.strftime("%F %T"))
}

/// Lines of such flows, all of the same time as the first of these records.
fn assert_flows(flows: &[Flow], records: &[FlowRecord], wanted: &[&str]) {
    let times = format!("{},{}", time(records[0].start), time(records[0].end));
    let flows: Vec<_> = flows.iter().map(|flow| flow.join(",").replace(&times, "T")).collect();
    assert_eq!(flows, wanted);
}

/// Each way of a conversation is a flow of its own, with every value that there is, to the millisecond.
#[test]
fn nfcapd_has_version_9() {
    let records = records();
    let (flows, sent) = collected("netflow9+udp", &records);
    assert_flows(
        &flows,
        &records,
        &[
            "192.0.2.1,40000,198.51.100.2,443,6,10,1500,T,0,3,...AP.SF,184,E,0,64500,4200000000,1/2",
            "198.51.100.2,443,192.0.2.1,40000,6,5,7000,T,3,0,...AP.S.,0,I,0,4200000000,64500,1/2",
            "2001:db8::1,1024,2001:db8::2,53,17,1,80,T,3,0,........,0,I,0,0,0,1/2",
            "192.0.2.1,0,198.51.100.2,8.0,1,3,294,T,3,0,........,0,I,0,0,0,1/2",
            "198.51.100.2,0,192.0.2.1,0.0,1,2,196,T,0,3,........,0,E,0,0,0,1/2",
            "2001:db8::1,0,2001:db8::2,128.0,58,3,294,T,3,0,........,0,I,0,0,0,1/2",
            "2001:db8::2,0,2001:db8::1,129.0,58,2,196,T,0,3,........,0,E,0,0,0,1/2",
            "198.51.100.2,5353,192.0.2.1,53,17,4,400,T,0,3,........,0,E,0,0,0,1/2",
            "192.0.2.1,0,198.51.100.2,0,47,1,100,T,3,0,........,0,I,22,0,0,1/2",
            "192.0.2.1,1,198.51.100.2,2,17,9000000,10000000000,T,3,0,........,0,I,0,0,0,1/2",
        ],
    );
    assert_eq!((sent.refused, sent.why.is_some_and(|why| why.contains("not IP"))), (1, true));
}

/// The same of IPv4 alone, in several flows where 32 bits are not enough.
#[test]
fn nfcapd_has_version_5() {
    let records = records();
    let (flows, sent) = collected("netflow5+udp", &records);
    assert_flows(
        &flows,
        &records,
        &[
            "192.0.2.1,40000,198.51.100.2,443,6,10,1500,T,0,3,...AP.SF,184,I,0,64500,23456,1/2",
            "198.51.100.2,443,192.0.2.1,40000,6,5,7000,T,3,0,...AP.S.,0,I,0,23456,64500,1/2",
            "192.0.2.1,0,198.51.100.2,8.0,1,3,294,T,3,0,........,0,I,0,0,0,1/2",
            "198.51.100.2,0,192.0.2.1,0.0,1,2,196,T,0,3,........,0,I,0,0,0,1/2",
            "198.51.100.2,5353,192.0.2.1,53,17,4,400,T,0,3,........,0,I,0,0,0,1/2",
            "192.0.2.1,0,198.51.100.2,0,47,1,100,T,3,0,........,0,I,0,0,0,1/2",
            "192.0.2.1,1,198.51.100.2,2,17,3000000,3333333334,T,3,0,........,0,I,0,0,0,1/2",
            "192.0.2.1,1,198.51.100.2,2,17,3000000,3333333333,T,3,0,........,0,I,0,0,0,1/2",
            "192.0.2.1,1,198.51.100.2,2,17,3000000,3333333333,T,3,0,........,0,I,0,0,0,1/2",
        ],
    );
    assert_eq!((sent.refused, sent.why.is_some()), (3, true));
}

/// Later than the whole second of its message, as flows that have just ended are; and of weeks ago, from a spool.
#[test]
fn nfcapd_has_the_times_of_what_has_just_ended_and_of_what_has_waited() {
    let now = Timestamp::now().as_millisecond() as u64 * 1_000_000;
    let flow = record(key(["192.0.2.1", "192.0.2.2"], 17, Some((1, 2))), Direction::Ingress, [1, 100]);
    let weeks = 20 * 86_400 * 1_000_000_000;
    for scheme in ["netflow9+udp", "netflow5+udp"] {
        for end in [now + 999_000_000, now - weeks] {
            let flow = FlowRecord { start: end - 1_001_000_000, end, ..flow.clone() };
            let flows = collected(scheme, std::slice::from_ref(&flow)).0;
            let times: Vec<_> = flows.iter().map(|flow| (flow[7].clone(), flow[8].clone())).collect();
            assert_eq!(times, [(time(flow.start), time(flow.end))], "{scheme}");
        }
    }
}

/// One that was started anew has to learn the templates again: on a new connection at once, else before long.
#[test]
fn a_collector_that_was_started_anew() {
    let flow =
        |port| record(key(["192.0.2.1", "192.0.2.2"], 17, Some((port, 2))), Direction::Ingress, [1, 100]);
    let ports =
        |flows: Vec<Flow>| flows.iter().map(|flow| flow[1].parse().expect("a port")).collect::<Vec<u16>>();
    let folder = Folder::new("netflow");
    let first = Nfcapd::start(&folder, "first");
    let port = first.port;
    let mut peer = peer(&format!("netflow9+udp://127.0.0.1:{port}"));
    peer.send(&[flow(1)]).expect("sent");
    assert_eq!(ports(first.stop()), [1]);
    let second = Nfcapd::start_at(&folder, "second", port);
    peer.connect().expect("it listens");
    peer.send(&[flow(2)]).expect("sent");
    assert_eq!(ports(second.stop()), [2]);
    // Nobody has noticed this time.
    let third = Nfcapd::start_at(&folder, "third", port);
    (3..=60).for_each(|port| drop(peer.send(&[flow(port)]).expect("sent")));
    let known = ports(third.stop());
    assert!(known.ends_with(&(52..=60).collect::<Vec<_>>()), "{known:?}");
}

/// Whatever the records, in whatever shapes: all flows between two ends add up.
#[test]
fn nfcapd_has_the_sums_of_records_at_random() {
    let records = random();
    let mut wanted = Sums::new();
    for record in &records {
        let Some((source, destination)) = record.key.addresses() else { continue };
        add(&mut wanted, (source, destination), [record.packets, record.bytes]);
        let back = record.reverse.map(|reverse| [reverse.count.packets, reverse.count.bytes]);
        add(&mut wanted, (destination, source), back.unwrap_or_default());
    }
    let mut sums = Sums::new();
    for flow in &collected("netflow9+udp", &records).0 {
        let [source, destination] = [0, 2].map(|at| flow[at].parse().expect("an address"));
        let counts = [5, 6].map(|at| flow[at].parse().expect("a number"));
        add(&mut sums, (source, destination), counts);
    }
    wanted.retain(|_, sum| *sum != [0, 0]);
    sums.retain(|_, sum| *sum != [0, 0]);
    assert_eq!(sums, wanted);
}

fn sum(text: &str, word: &str) -> u64 {
    said(text, word).iter().map(|number| number.parse::<u64>().expect("a number")).sum()
}

/// It knows the template of every flow, and every element in it.
#[test]
fn tshark_reads_every_field() {
    let text = read_by_tshark("netflow9+udp", &records());
    assert_eq!((sum(&text, "Packets"), sum(&text, "Octets")), (9_000_031, 10_000_010_060));
    assert_eq!((said(&text, "SourceId"), said(&text, "FlowSequence")), (vec!["258"], vec!["0"]));
    assert_eq!(said(&text, "[Duration"), ["1.007000000 seconds (switched)]"; 10]);
    // What IP headers say is known of the source's packets.
    assert_eq!((said(&text, "MinTTL"), said(&text, "MaxTTL")), (vec!["60"; 6], vec!["64"; 6]));
    assert_eq!(said(&text, "IP ToS"), [&["0xb8"][..], &["0x00"; 5]].concat());
    assert_eq!(said(&text, "Vlan Id"), ["22"], "{text}");
    assert_eq!(said(&text, "IfName"), ["eth0"; 10]);
    let text = read_by_tshark("netflow5+udp", &records());
    assert_eq!((sum(&text, "Packets"), sum(&text, "Octets")), (9_000_025, 10_000_009_490));
    assert_eq!((said(&text, "EngineId"), said(&text, "Count")), (vec!["2"], vec!["9"]));
    assert_eq!(said(&text, "[Duration"), ["1.007000000 seconds]"; 9]);
}

/// What rules have sampled: the rate goes with it, and in version 5 with all of a message.
#[test]
fn tshark_knows_the_sampling_rate() {
    let plain = record(key(["192.0.2.1", "192.0.2.2"], 17, Some((1, 2))), Direction::Ingress, [3, 300]);
    let records = [FlowRecord { sampling_rate: 10, ..plain.clone() }, plain];
    let text = read_by_tshark("netflow9+udp", &records);
    assert_eq!(said(&text, "Sampling interval"), ["10"], "{text}");
    let text = read_by_tshark("netflow5+udp", &records);
    let rates: Vec<_> =
        text.lines().filter_map(|line| line.split_once(" = Sampl")).map(|rate| rate.1).collect();
    let random = ["ingMode: Random sampling mode configured (2)", "eRate: 10"];
    assert_eq!(rates, [random, ["ingMode: No sampling mode configured (0)", "eRate: 0"]].concat());
}
