//! rotel in the middle: what it has understood it sends on, and google.protobuf reads that.

use crate::common::full::full;
use crate::flows::{self, any_records, attributes, count, once, record, records};
use crate::rotel::Rotel;
use crate::sink::Sink;
use crate::{SOON, courier, go_on, peer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use weir_record::{Count, Direction, End, Evidence, FlowRecord, Layer, Observation, Process, Reverse};
use weir_tests::{free_port, wait_for};

pub fn taken(sink: &Sink, count: usize) -> Vec<Value> {
    wait_for("all is there", SOON, || Some(sink.taken()).filter(|taken| taken.len() >= count))
}

/// With a process at one end, and what came back.
pub fn told() -> FlowRecord {
    let process = Process {
        pid: 4242,
        parent_pid: Some(1),
        started: Some(flows::START),
        user_id: 33,
        command: "nginx".into(),
        executable: Some("/usr/sbin/nginx".into()),
        arguments: Some("nginx: worker \"größe\"".into()),
        cgroup: None,
        unit: Some("nginx.service".into()),
        container: None,
        pod_uid: None,
    };
    let (record, count) = (record(0xabc), Count { packets: 7, bytes: 9000 });
    let observation = Observation {
        point: 1,
        interface: Arc::clone(&record.interface),
        direction: Direction::Ingress,
        layer: Layer::Inner,
        vlan: Some(22),
        translated: false,
        reverse: true,
        count,
    };
    FlowRecord {
        source: End { process: Some(Arc::new(process)), ..End::default() },
        reverse: Some(Reverse { count, tcp_flags: 0x12, sampling_rate: 1, evidence: Evidence::Syn }),
        observations: [observation].into_iter().collect(),
        dscp_seen: 0b101,
        fragmented: true,
        ..record
    }
}

/// Each once, with everything that JSON has of it, by its names and in its types.
fn assert_understood(url: impl Fn(u16, u16) -> String, wanted: &str) {
    let (sink, port) = (Sink::start(), free_port());
    let rotel = Rotel::start(&sink.folder, "rotel.out", port, sink.port);
    let mut sent = any_records(500);
    let (full, without) = full(&told());
    assert_eq!(without, ["icmp_type", "icmp_code"], "TCP has none");
    sent.push(full);
    let answer = peer(&url(port, rotel.grpc)).send(&sent).expect("taken");
    assert_eq!((answer.refused, answer.answer.as_deref()), (0, Some(wanted)));
    let taken = taken(&sink, sent.len());
    assert_eq!(count(&taken), once(&sent));
    let by_id: BTreeMap<_, _> =
        taken.iter().map(|log| (log["attributes"]["weir.flow.id"].as_str(), log)).collect();
    for record in &sent {
        let log = by_id[&Some(format!("{:016x}", record.flow_id).as_str())];
        assert_eq!(log["attributes"], json!(attributes(record)), "{record:?}");
        assert_eq!((log["time"].as_u64(), &log["event"]), (Some(record.end), &json!("weir.flow")));
        assert!(log["observed"].as_u64() >= Some(flows::START), "{log}");
    }
    rotel.stop();
    let said = fs::read_to_string(sink.folder.path("rotel.out")).expect("its log");
    assert!(said.contains("source.address"), "{said}");
}

#[test]
fn a_collector_understands_every_field() {
    assert_understood(|http, _| format!("otlp+http://127.0.0.1:{http}"), "the server answers 200 OK");
}

#[test]
fn a_collector_understands_every_field_by_grpc() {
    assert_understood(|_, grpc| format!("otlp+grpc://127.0.0.1:{grpc}"), "the server answers OK");
}

/// What stands in a log record, word for word.
#[test]
fn a_log_record_in_full() {
    let sink = Sink::start();
    peer(&format!("otlp+http://127.0.0.1:{}", sink.port)).send(&[told()]).expect("taken");
    let log = &sink.taken()[0];
    let has = |whole: &Value, part: Value| {
        let part = part.as_object().expect("pairs").clone();
        part.iter().for_each(|(name, value)| assert_eq!(&whole[name], value, "{name}: {whole}"));
    };
    has(
        log,
        json!({
            "scope": ["weir", env!("CARGO_PKG_VERSION")],
            "time": flows::START + 0xabc * 1_000_003 + 500_000_007,
            "severity": 9,
            "event": "weir.flow",
            "body": "tcp 192.0.2.1:40000 > 198.51.100.1:443, 10 packets, 1500 bytes; back 7 packets, 9000 bytes",
        }),
    );
    has(
        &log["attributes"],
        json!({
            "weir.flow.id": "0000000000000abc",
            "source.address": "192.0.2.1",
            "source.port": 40_000,
            "destination.address": "198.51.100.1",
            "destination.port": 443,
            "network.transport": "tcp",
            "network.interface.name": "eth0",
            "weir.network.interface.direction": "egress",
            "weir.flow.bytes": 1500,
            "weir.flow.reverse.bytes": 9000,
            "weir.network.dscp.seen": [0, 2],
            "weir.flow.observations": [{
                "netns": "", "interface": "eth0", "interface_index": 2, "direction": "ingress", "decapsulated": true,
                "vlan": 22, "translated": false, "reverse": true, "packets": 7, "bytes": 9000,
            }],
            "weir.network.fragmented": true,
            "source.process.pid": 4242,
            "source.process.name": "nginx",
            "source.process.command_line": "nginx: worker \"größe\"",
            "source.process.creation.time": "2025-11-24T16:00:00.000000000Z",
            "source.systemd.unit": "nginx.service",
        }),
    );
    assert!(
        !log["attributes"]
            .as_object()
            .expect("pairs")
            .keys()
            .any(|name| name.starts_with("destination.process"))
    );
    has(&log["resource"], json!({ "service.name": "weir", "os.type": "linux" }));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(log["resource"]["host.name"], host.trim());
    assert_eq!(sink.requests()[0]["path"], "/v1/logs");
}

/// Nothing else is said: no line with what was left out.
#[test]
fn fields_are_what_was_asked_for() {
    let sink = Sink::start();
    let url = format!("otlp+http://127.0.0.1:{}/in?tenant=7&fields=flow_id,bytes", sink.port);
    peer(&url).send(&[told()]).expect("taken");
    let log = &sink.taken()[0];
    assert_eq!(log["attributes"], json!({ "weir.flow.id": "0000000000000abc", "weir.flow.bytes": 1500 }));
    assert_eq!((&log["body"], &sink.requests()[0]["path"]), (&json!(""), &json!("/in?tenant=7")));
}

/// A collector that goes and comes back: what came meanwhile is on disk, and each is there once.
#[test]
fn a_collector_that_is_restarted_has_each_once() {
    let (sink, port) = (Sink::start(), free_port());
    let mut courier = courier(&sink.folder, &format!("otlp+http://127.0.0.1:{port}"));
    let first = Rotel::start(&sink.folder, "first.out", port, sink.port);
    courier.write(&records(0..300)).expect("taken");
    assert_eq!(go_on(&mut courier).spooled_records, 0);
    taken(&sink, 300);
    first.stop();
    courier.write(&records(300..600)).expect("on disk");
    let away = go_on(&mut courier);
    assert_eq!((away.spooled_records, away.delivered_records), (300, 300), "{away:?}");
    assert!(away.error.as_ref().is_some_and(|error| error.contains("refused")), "{away:?}");
    let second = Rotel::start(&sink.folder, "second.out", port, sink.port);
    courier.write(&records(600..900)).expect("on disk");
    wait_for("nothing waits", SOON, || (go_on(&mut courier).spooled_records == 0).then_some(()));
    courier.write(&records(900..1000)).expect("taken");
    courier.finish().expect("it lasts");
    taken(&sink, 1000);
    second.stop();
    assert_eq!(count(&sink.taken()), once(&records(0..1000)));
}
