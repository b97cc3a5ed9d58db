//! What a server answers, and what becomes of the records.

use crate::collector::{Collector, USUAL, answers, requests, taken};
use crate::flows::{count, once, record, records};
use crate::{SOON, courier, folder, go_on, peer};
use std::thread::sleep;
use std::time::Duration;
use weir_export::Sent;
use weir_record::{FlowKey, FlowRecord, PeerCondition};
use weir_tests::{free_port, wait_for};

const SCHEMES: [&str; 2] = ["grpc", "otlp+grpc"];

fn answered(scheme: &str, mode: &str) -> Result<Sent, String> {
    let (folder, port) = (folder(), free_port());
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    answers(&folder, mode);
    peer(&format!("{scheme}://127.0.0.1:{port}")).send(&records(0..10)).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_is_refused() {
    for scheme in SCHEMES {
        let sent = answered(scheme, "INVALID_ARGUMENT no such tenant").expect("an answer");
        assert_eq!(sent.refused, 10, "{scheme}");
        let why = sent.why.expect("why");
        assert!(why.ends_with("the server refuses a batch: InvalidArgument: no such tenant"), "{why}");
    }
    let sent = answered("otlp+grpc", "partial 3").expect("an answer");
    let why = sent.why.expect("why");
    assert!(sent.refused == 3 && why.ends_with("the server refuses 3 of 10 records: too old"), "{why}");
}

/// All else can be mended there.
#[test]
fn any_other_status_is_a_peer_that_is_away() {
    for status in [
        "UNAVAILABLE down",
        "PERMISSION_DENIED no",
        "UNIMPLEMENTED no",
        "RESOURCE_EXHAUSTED quota",
        "INTERNAL",
    ] {
        let said = answered("grpc", status).expect_err(status);
        assert!(said.contains("127.0.0.1:") && said.contains("the server answers "), "{said}");
        let words = status.split_once(' ').map_or("Internal", |(_, words)| words);
        assert!(said.ends_with(words), "{said}");
    }
}

/// A server that asks to be left alone is, though it would be tried again far sooner otherwise. Then it has each once.
#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let (folder, port) = (folder(), free_port());
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    answers(&folder, "retry 2");
    let mut courier = courier(&folder, &format!("grpc://127.0.0.1:{port}"));
    courier.write(&records(0..100)).expect("on disk");
    let away = go_on(&mut courier);
    assert_eq!((away.condition, away.spooled_records, away.refused_records), (PeerCondition::Away, 100, 0));
    assert!(away.error.as_ref().is_some_and(|error| error.ends_with("Unavailable: busy")), "{away:?}");
    answers(&folder, "ok");
    wait_for("nothing waits", SOON, || {
        sleep(Duration::from_millis(10));
        (go_on(&mut courier).spooled_records == 0).then_some(())
    });
    let requests = requests(&folder);
    let [at, again] = [0, 1].map(|number: usize| requests[number]["at"].as_f64().expect("a time"));
    // By the server's own clock; what comes on its way there is no shorter.
    assert!(again - at >= 1.9, "{requests:?}");
    assert_eq!((requests.len(), count(&taken(&folder))), (2, once(0..100)));
}

/// Batches become smaller until they are taken; what is too large alone is refused, and nothing else is.
#[test]
fn a_message_that_is_too_large_is_halved() {
    let (folder, port) = (folder(), free_port());
    let _collector = Collector::start(&folder, port, 20_000, &[]);
    let long = FlowRecord { interface: crate::flows::interface(&"x".repeat(40_000), 2), ..record(1000) };
    let mut sent = records(0..500);
    sent.insert(77, long);
    let mut peer = peer(&format!("grpc://127.0.0.1:{port}"));
    let answer = peer.send(&sent).expect("an answer");
    let why = answer.why.expect("why");
    assert!(answer.refused == 1 && why.contains("the server refuses a batch: ResourceExhausted"), "{why}");
    assert_eq!(count(&taken(&folder)), once(0..500));
    assert!(requests(&folder).iter().all(|request| request["bytes"].as_u64() <= Some(20_000)));
}

/// No message is longer than half a MiB, and each but the last is nearly that, and what is not IP is in none.
#[test]
fn messages_are_of_half_a_mebibyte() {
    let (folder, port) = (folder(), free_port());
    let _collector = Collector::start(&folder, port, USUAL, &[]);
    let key = FlowKey::Other { vlan: None, ethertype: 0x0806 };
    let arp = FlowRecord { key, ..record(99_999) };
    let mut peer = peer(&format!("grpc://127.0.0.1:{port}"));
    assert_eq!(peer.send(&[arp.clone(), arp]).expect("no call").refused, 2);
    peer.send(&records(0..8000)).expect("taken");
    assert_eq!(count(&taken(&folder)), once(0..8000));
    let sizes: Vec<_> =
        requests(&folder).iter().map(|request| request["bytes"].as_u64().expect("a number")).collect();
    let (_, full) = sizes.split_last().expect("some");
    assert!(!full.is_empty() && sizes.iter().all(|size| *size <= 512 * 1024), "{sizes:?}");
    assert!(full.iter().all(|size| *size > 510 * 1024), "{sizes:?}");
}
