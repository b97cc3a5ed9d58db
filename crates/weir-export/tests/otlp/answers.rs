//! What a server answers, and what becomes of the records.

use crate::flows::{count, once, records};
use crate::sink::Sink;
use crate::{SOON, courier, go_on, peer};
use std::thread::sleep;
use std::time::Duration;
use weir_export::Sent;
use weir_record::PeerCondition;
use weir_tests::wait_for;

fn answered(mode: &str) -> Sent {
    let sink = Sink::start();
    sink.answers(mode);
    peer(&format!("otlp+http://127.0.0.1:{}", sink.port)).send(&records(0..10)).expect("an answer")
}

/// It takes a batch but for some, which it will never take.
#[test]
fn a_partial_success() {
    let sent = answered("partial");
    assert_eq!(sent.refused, 3);
    let why = sent.why.expect("why");
    assert!(why.ends_with("/v1/logs: the server refuses 3 of 10 records: too\\nold"), "{why}");
    let all = answered("endless");
    assert_eq!((all.refused, all.why.is_some()), (10, true));
}

/// The same of spans.
#[test]
fn a_partial_success_of_spans() {
    let sink = Sink::start();
    sink.answers("partial-spans");
    let url = format!("otlp+http://127.0.0.1:{}?signal=traces", sink.port);
    let sent = peer(&url).send(&records(0..10)).expect("an answer");
    assert_eq!(sent.refused, 3);
    let why = sent.why.expect("why");
    assert!(why.ends_with("/v1/traces: the server refuses 3 of 10 records: too\\nold"), "{why}");
}

/// None of these is a record that it does not take.
#[test]
fn a_success_with_a_remark() {
    for (mode, remark) in
        [("remark", "deprecated"), ("negative", "mad"), ("page", "what it says is not OTLP")]
    {
        let sent = answered(mode);
        assert_eq!((sent.refused, sent.why), (0, None), "{mode}");
        assert_eq!(sent.answer, Some(format!("the server answers 200 OK: {remark}")));
    }
}

/// What is wrong with a batch is said in the page, as a `Status`.
#[test]
fn a_refusal() {
    let sent = answered("refuse");
    assert_eq!(sent.refused, 10);
    let why = sent.why.expect("why");
    assert!(why.ends_with("the server refuses a batch: 400 Bad Request: no such tenant"), "{why}");
}

/// A server that asks to be left alone is, though it would be tried again far sooner otherwise. Then it has each once.
#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let sink = Sink::start();
    sink.answers("busy");
    let mut courier = courier(&sink.folder, &format!("otlp+http://127.0.0.1:{}", sink.port));
    courier.write(&records(0..100)).expect("on disk");
    let away = go_on(&mut courier);
    assert_eq!((away.condition, away.spooled_records, away.refused_records), (PeerCondition::Away, 100, 0));
    assert!(away.error.as_ref().is_some_and(|error| error.ends_with("429 Too Many Requests")), "{away:?}");
    sink.answers("ok");
    wait_for("nothing waits", SOON, || {
        sleep(Duration::from_millis(10));
        (go_on(&mut courier).spooled_records == 0).then_some(())
    });
    let requests = sink.requests();
    let [at, again] = [0, 1].map(|number: usize| requests[number]["at"].as_f64().expect("a time"));
    // By the server's own clock; what comes on its way there is no shorter.
    assert!(again - at >= 1.9, "{requests:?}");
    assert_eq!((requests.len(), count(&sink.taken())), (2, once(&records(0..100))));
}

/// What is no answer at all is none: everything is sent again.
#[test]
fn nonsense_is_no_answer() {
    let sink = Sink::start();
    sink.answers("garbage");
    let mut courier = courier(&sink.folder, &format!("otlp+http://127.0.0.1:{}", sink.port));
    courier.write(&records(0..100)).expect("on disk");
    wait_for("it fails again", SOON, || (go_on(&mut courier).failures >= 2).then_some(()));
    sink.answers("ok");
    wait_for("nothing waits", SOON, || (go_on(&mut courier).spooled_records == 0).then_some(()));
    assert_eq!(count(&sink.taken()), once(&records(0..100)));
}
