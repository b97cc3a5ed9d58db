//! What a collector of netobserv's has of a record.

use crate::collector::{Collector, USUAL, requests, taken};
use crate::flows::{START, count, interface, record};
use crate::{folder, peer};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use weir_filter::generate;
use weir_record::{
    Addresses, Count, Direction, Dropped, End, Evidence, FlowKey, FlowRecord, Layer, Observation, Reverse,
    TcpHealth, Translation,
};
use weir_tests::free_port;

fn sent(records: &[FlowRecord]) -> (weir_export::Sent, Vec<Value>) {
    let (folder, port) = (folder(), free_port());
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    let sent = peer(&format!("grpc://127.0.0.1:{port}")).send(records).expect("taken");
    let asked = requests(&folder);
    assert!(asked.iter().all(|request| request["method"] == "/pbflow.Collector/Send"), "{asked:?}");
    let agent = concat!("weir/", env!("CARGO_PKG_VERSION"));
    assert!(
        asked.iter().all(|request| request["agent"].as_str().is_some_and(|said| said.starts_with(agent)))
    );
    (sent, taken(&folder))
}

/// Both directions, behind a NAT, seen twice on its way there, with drops and a round trip.
fn told() -> FlowRecord {
    let record = record(5);
    let observation = |name, index, direction, reverse| Observation {
        point: 1,
        interface: interface(name, index),
        direction,
        layer: Layer::Outer,
        vlan: None,
        translated: false,
        reverse,
        count: Count { packets: 1, bytes: 60 },
    };
    let observations = [
        observation("eth0", 2, Direction::Egress, false),
        observation("veth1", 7, Direction::Ingress, false),
        observation("veth1", 7, Direction::Ingress, false),
        observation("eth0", 2, Direction::Ingress, true),
    ];
    let health = TcpHealth { rtt: Some(1_500_250), ..TcpHealth::default() };
    let there = (Ipv4Addr::new(203, 0, 113, 9).into(), 61_000);
    FlowRecord {
        tcp_flags: 0x11b,
        dscp: 46,
        reverse: Some(Reverse {
            count: Count { packets: 7, bytes: 9000 },
            tcp_flags: 0x12,
            sampling_rate: 1,
            evidence: Evidence::Syn,
        }),
        observations: observations.into_iter().collect(),
        dropped: Some(Dropped { packets: 3, bytes: 180, reasons: Some("NO_SOCKET".into()) }),
        translation: Some(Translation {
            source: there,
            destination: (Ipv4Addr::new(198, 51, 100, 1).into(), 443),
        }),
        source: End { tcp: Some(Arc::new(health)), ..End::default() },
        ..record
    }
}

/// Word for word: 3221225985 is 192.0.2.1, 3325256705 is 198.51.100.1, 3405803785 is 203.0.113.9, 2130706433 is 127.0.0.1.
#[test]
fn a_record_is_two_flows() {
    let (sent, taken) = sent(&[told()]);
    assert_eq!((sent.refused, sent.answer.as_deref()), (0, Some("the server answers OK")));
    let [ours, theirs, behind] =
        [3_221_225_985_u32, 3_325_256_705, 3_405_803_785].map(|ip| json!({ "ipv4": ip }));
    let (start, end) = (START + 5 * 1_000_003, START + 5 * 1_000_003 + 500_000_007);
    let there = json!({
        "eth_protocol": 0x0800, "direction": 1, "time_flow_start": start, "time_flow_end": end, "data_link": {},
        "network": { "src_addr": ours, "dst_addr": theirs, "dscp": 46 },
        "transport": { "src_port": 40_000, "dst_port": 443, "protocol": 6 },
        "bytes": 1500, "packets": 10, "interface": "eth0", "agent_ip": { "ipv4": 2_130_706_433_u32 }, "flags": 0x1b,
        "pkt_drop_bytes": 180, "pkt_drop_packets": 3, "time_flow_rtt": 1_500_250_000,
        "dup_list": [{ "interface": "eth0", "direction": 1 }, { "interface": "veth1" }],
        "xlat": { "src_addr": behind, "dst_addr": theirs, "src_port": 61_000, "dst_port": 443 },
    });
    let back = json!({
        "eth_protocol": 0x0800, "time_flow_start": start, "time_flow_end": end, "data_link": {},
        "network": { "src_addr": theirs, "dst_addr": ours },
        "transport": { "src_port": 443, "dst_port": 40_000, "protocol": 6 },
        "bytes": 9000, "packets": 7, "interface": "eth0", "agent_ip": { "ipv4": 2_130_706_433_u32 }, "flags": 0x12,
        "time_flow_rtt": 1_500_250_000, "dup_list": [{ "interface": "eth0" }],
        "xlat": { "src_addr": theirs, "dst_addr": behind, "src_port": 443, "dst_port": 61_000 },
    });
    assert_eq!(taken, [there, back]);
}

#[test]
fn icmp_of_ipv6_has_type_and_code() {
    let addresses = Addresses::V6("2001:db8::1".parse().expect("one"), "2001:db8::2".parse().expect("one"));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 58, ports: Some((1, 4)) };
    let (_, taken) = sent(&[FlowRecord { key, ..record(0) }]);
    let [flow] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((&flow["icmp_type"], &flow["icmp_code"]), (&json!(1), &json!(4)));
    assert_eq!((&flow["eth_protocol"], &flow["transport"]), (&json!(0x86dd), &json!({ "protocol": 58 })));
    let address = |last| json!({ "ipv6": format!("20010db800000000000000000000000{last}") });
    assert_eq!(flow["network"], json!({ "src_addr": address(1), "dst_addr": address(2) }));
}

/// All of them add up, by what JSON says of the records; what is not IP is refused.
#[test]
fn any_records_add_up() {
    let (mut runner, strategy) = (TestRunner::deterministic(), generate::records());
    let mut any = |number: u64| FlowRecord {
        // Each has times of its own, and counts that can be added.
        start: number + 1,
        ..strategy.new_tree(&mut runner).expect("a record").current()
    };
    let records: Vec<_> = (0..2000).map(&mut any).collect();
    let small = |count: u64| count % (1 << 40);
    let records: Vec<_> = records
        .into_iter()
        .map(|mut record| {
            (record.packets, record.bytes) = (small(record.packets), small(record.bytes));
            if let Some(reverse) = &mut record.reverse {
                reverse.count =
                    Count { packets: small(reverse.count.packets), bytes: small(reverse.count.bytes) };
            }
            record
        })
        .collect();
    let (sent, taken) = sent(&records);
    let json: Vec<_> = records.iter().map(|record| serde_json::to_value(record).expect("JSON")).collect();
    let (ip, other): (Vec<_>, Vec<_>) = json.iter().partition(|record| !record["protocol"].is_null());
    assert!(!other.is_empty() && sent.refused == other.len() as u64, "{} of {}", sent.refused, other.len());
    assert!(sent.why.is_some_and(|why| why.contains("not IP")));
    for (theirs, ours) in [("packets", ["packets", "reverse_packets"]), ("bytes", ["bytes", "reverse_bytes"])]
    {
        let number = |record: &Value, name: &str| record[name].as_u64().unwrap_or_default();
        let expected: u64 = ip.iter().flat_map(|record| ours.map(|name| number(record, name))).sum();
        assert!(expected > 0);
        assert_eq!(taken.iter().map(|flow| number(flow, theirs)).sum::<u64>(), expected, "{theirs}");
    }
    let found = count(&taken);
    let times = |record: &FlowRecord| (record.start, record.end);
    let expected: Vec<_> =
        records.iter().filter(|record| record.key.protocol().is_some()).map(times).collect();
    assert_eq!(found.len(), expected.len());
    assert!(expected.iter().all(|times| matches!(found.get(times), Some(1 | 2))));
}
