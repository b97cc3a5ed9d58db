//! Flows as spans, through rotel, and read by google.protobuf.

use crate::collector::{taken, told};
use crate::flows::{any_records, attributes, count, once, record, records};
use crate::rotel::Rotel;
use crate::sink::Sink;
use crate::{SOON, courier, go_on, peer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weir_record::{Count, End, Evidence, FlowRecord, Reverse, TcpFailure, TcpHealth};
use weir_tests::{free_port, wait_for};

fn told_of(records: &[FlowRecord]) -> Vec<Value> {
    let sink = Sink::start();
    peer(&format!("otlp+http://127.0.0.1:{}?signal=traces", sink.port)).send(records).expect("taken");
    sink.taken()
}

fn text<'v>(span: &'v Value, name: &str) -> &'v str {
    span[name].as_str().unwrap_or_else(|| panic!("{name}: {span}"))
}

/// Each once, with everything that JSON has of it, its times, and ids that no other has.
fn assert_understood(url: impl Fn(u16, u16) -> String) {
    let (sink, port) = (Sink::start(), free_port());
    let rotel = Rotel::start(&sink.folder, "rotel.out", port, sink.port);
    let mut sent = any_records(500);
    sent.push(FlowRecord { flow_id: 1000, ..told() });
    let answer = peer(&url(port, rotel.grpc)).send(&sent).expect("taken");
    assert_eq!((answer.refused, answer.why), (0, None));
    let taken = taken(&sink, sent.len());
    assert_eq!(count(&taken), once(&sent));
    let by_id: BTreeMap<_, _> =
        taken.iter().map(|span| (span["attributes"]["weir.flow.id"].as_str(), span)).collect();
    for record in &sent {
        let span = by_id[&Some(format!("{:016x}", record.flow_id).as_str())];
        assert_eq!(span["attributes"], json!(attributes(record)), "{record:?}");
        assert_eq!([&span["start"], &span["end"]], [&json!(record.start), &json!(record.end)]);
        assert!(text(span, "trace").ends_with(&format!("{:016x}", record.flow_id)), "{span}");
    }
    let ids: BTreeSet<_> = taken.iter().map(|span| (text(span, "trace"), text(span, "span"))).collect();
    assert_eq!(ids.len(), sent.len());
    rotel.stop();
}

#[test]
fn a_collector_understands_spans() {
    assert_understood(|http, _| format!("otlp+http://127.0.0.1:{http}?signal=traces"));
}

#[test]
fn a_collector_understands_spans_by_grpc() {
    assert_understood(|_, grpc| format!("otlp+grpc://127.0.0.1:{grpc}?signal=traces"));
}

/// The records of a conversation are spans of a trace, and one that is sent twice is the same span.
#[test]
fn ids_are_those_of_the_record() {
    let first = record(7);
    let second = FlowRecord { start: first.end + 1, end: first.end + 2, ..first.clone() };
    let none = FlowRecord { flow_id: 0, start: 0, end: 0, ..first.clone() };
    let sent = [first.clone(), second, none, record(8), first];
    let spans = told_of(&sent);
    let ids: Vec<_> = spans.iter().map(|span| (text(span, "trace"), text(span, "span"))).collect();
    assert_eq!(ids[0], ids[4]);
    assert_eq!(ids[0].0, ids[1].0, "one trace");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 4, "{ids:?}");
    assert_eq!(ids.iter().map(|(trace, _)| trace).collect::<BTreeSet<_>>().len(), 3, "{ids:?}");
    for (span, (trace, id)) in spans.iter().zip(&ids) {
        assert_eq!((trace.len(), id.len(), text(span, "parent")), (32, 16, ""), "{span}");
        assert!(trace.contains(|digit| digit != '0') && id.contains(|digit| digit != '0'), "{span}");
    }
    assert_eq!(told_of(&sent[..1])[0]["span"], spans[0]["span"], "of another process's, too");
}

/// Whose it is says where the process or the socket is, as far as it is known who has asked.
#[test]
fn kinds() {
    let socket = || End { tcp: Some(Arc::new(TcpHealth::default())), ..End::default() };
    let reverse = |evidence| {
        let count = Count { packets: 1, bytes: 60 };
        Some(Reverse { count, tcp_flags: 0x12, sampling_rate: 1, evidence })
    };
    let asked = FlowRecord { reverse: reverse(Evidence::Syn), ..record(0) };
    let client = FlowRecord { source: socket(), ..asked.clone() };
    let server = FlowRecord { destination: socket(), ..asked.clone() };
    let both = FlowRecord { destination: socket(), ..client.clone() };
    let arbitrary = FlowRecord { reverse: reverse(Evidence::None), ..client.clone() };
    let one_way = FlowRecord { reverse: None, ..client.clone() };
    let spans = told_of(&[client, server, both, asked, arbitrary, one_way, told()]);
    let kinds: Vec<_> = spans.iter().map(|span| text(span, "kind")).collect();
    let [client, server, internal] = ["SPAN_KIND_CLIENT", "SPAN_KIND_SERVER", "SPAN_KIND_INTERNAL"];
    assert_eq!(kinds, [client, server, internal, internal, internal, internal, client]);
}

/// A connection that has failed is an error, in the words of the end that has asked.
#[test]
fn failures() {
    let failed = |failure| {
        let tcp = TcpHealth { failure: Some(failure), ..TcpHealth::default() };
        End { tcp: Some(Arc::new(tcp)), ..End::default() }
    };
    let refused = FlowRecord { source: failed(TcpFailure::Refused), ..record(0) };
    let both = FlowRecord { destination: failed(TcpFailure::Reset), ..refused.clone() };
    let full = FlowRecord { destination: failed(TcpFailure::AcceptQueueFull), ..record(0) };
    let spans = told_of(&[refused, both, full, record(0)]);
    let said: Vec<_> = spans.iter().map(|span| span["status"].clone()).collect();
    let error = |why| json!(["STATUS_CODE_ERROR", why]);
    let unset = json!(["STATUS_CODE_UNSET", ""]);
    assert_eq!(said, [error("refused"), error("refused"), error("accept_queue_full"), unset]);
    assert!(spans.iter().all(|span| span["name"] == "tcp"), "{spans:?}");
}

/// A collector that goes and comes back has each span once.
#[test]
fn a_collector_that_is_restarted_has_each_span_once() {
    let (sink, port) = (Sink::start(), free_port());
    let mut courier = courier(&sink.folder, &format!("otlp+http://127.0.0.1:{port}?signal=traces"));
    courier.write(&records(0..300)).expect("on disk");
    let away = go_on(&mut courier);
    assert_eq!((away.spooled_records, away.delivered_records), (300, 0), "{away:?}");
    let first = Rotel::start(&sink.folder, "first.out", port, sink.port);
    wait_for("nothing waits", SOON, || (go_on(&mut courier).spooled_records == 0).then_some(()));
    taken(&sink, 300);
    first.stop();
    courier.write(&records(300..600)).expect("on disk");
    assert_eq!(go_on(&mut courier).spooled_records, 300);
    let second = Rotel::start(&sink.folder, "second.out", port, sink.port);
    wait_for("nothing waits", SOON, || (go_on(&mut courier).spooled_records == 0).then_some(()));
    courier.finish().expect("it lasts");
    taken(&sink, 600);
    second.stop();
    assert_eq!(count(&sink.taken()), once(&records(0..600)));
}
