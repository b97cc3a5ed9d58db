//! Servers that take less at once than we would send.

use crate::flows::{count, once, record, records};
use crate::peer;
use crate::sink::Sink;
use std::sync::Arc;
use weir_record::{FlowRecord, Interface};

/// One that is longer than the server takes.
fn long(number: u64) -> FlowRecord {
    let record = record(number);
    let interface = Interface { name: "x".repeat(40_000).as_str().into(), ..(*record.interface).clone() };
    FlowRecord { interface: Arc::new(interface), ..record }
}

/// Batches become smaller until they are taken, and stay so; what is too large alone is refused, and nothing else is.
#[test]
fn batches_are_halved_until_they_are_taken() {
    for scheme in ["http", "otlp+http"] {
        let sink = Sink::start();
        sink.answers("most 30000");
        let mut sent = records(0..200);
        sent.insert(77, long(1000));
        sent.push(long(1001));
        let mut peer = peer(&format!("{scheme}://127.0.0.1:{}", sink.port));
        let answer = peer.send(&sent).expect("an answer");
        assert_eq!(answer.refused, 2, "{scheme}");
        let why = answer.why.expect("why");
        assert!(why.ends_with("the server refuses a batch: 413 Payload Too Large"), "{why}");
        assert_eq!(count(&sink.taken()), once(&records(0..200)), "{scheme}");
        let before = sink.requests().len();
        peer.send(&records(200..300)).expect("an answer");
        let requests = sink.requests();
        assert!(requests[before..].iter().all(|request| request["status"] == 200), "{scheme}: {requests:?}");
        assert_eq!(count(&sink.taken()), once(&records(0..300)), "{scheme}");
    }
}

/// No body is longer than half a MiB, and each but the last is nearly that.
#[test]
fn bodies_are_of_half_a_mebibyte() {
    for scheme in ["http", "otlp+http"] {
        let sink = Sink::start();
        peer(&format!("{scheme}://127.0.0.1:{}", sink.port)).send(&records(0..3000)).expect("taken");
        assert_eq!(count(&sink.taken()), once(&records(0..3000)), "{scheme}");
        let sizes: Vec<_> =
            sink.requests().iter().map(|request| request["bytes"].as_u64().expect("a number")).collect();
        let (_, full) = sizes.split_last().expect("some");
        assert!(!full.is_empty() && sizes.iter().all(|size| *size <= 512 * 1024), "{scheme}: {sizes:?}");
        assert!(full.iter().all(|size| *size > 500 * 1024), "{scheme}: {sizes:?}");
    }
}
