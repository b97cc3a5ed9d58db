//! Brokers that go, stall, rave and refuse: each record is there once, as far as it is known by its identity.

use crate::brokers::Brokers;
use crate::flows::{count, once, records};
use crate::relay::{Mood, Relay, Wants};
use crate::{SOON, courier, state, target};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};
use std::collections::BTreeSet;
use std::ops::Range;
use weir_export::Courier;
use weir_record::PeerCondition;
use weir_tests::folder::Folder;
use weir_tests::wait_for;

/// Goes on until it is connected and nothing waits.
fn settle(courier: &mut Courier) {
    wait_for("everything was sent", SOON, || {
        courier.go_on();
        let state = state(courier);
        (state.condition == PeerCondition::Connected && state.spooled_records == 0).then_some(())
    });
}

/// What it says is wrong when it tries to send these. Where it took long before, they wait on disk at first.
fn fails(courier: &mut Courier, numbers: Range<u64>) -> String {
    courier.write(&records(numbers)).expect("it waits on disk");
    wait_for("it fails", SOON, || {
        courier.go_on();
        state(courier).error
    })
}

/// All of them are there, and nothing else.
fn all_are_there(brokers: &Brokers, numbers: Range<u64>) {
    let [found, wanted] = [count(&brokers.objects()), once(numbers)].map(|ids| ids.into_keys().collect());
    let missing: BTreeSet<_> = BTreeSet::difference(&wanted, &found).collect();
    let strange: BTreeSet<_> = BTreeSet::difference(&found, &wanted).collect();
    assert!(missing.is_empty() && strange.is_empty(), "{missing:?} {strange:?}");
}

/// A broker that is not there, comes, stalls within a batch, answers nonsense, dies and comes back.
#[test]
fn each_record_is_there_whatever_happens() {
    let (brokers, folder) = (Brokers::start(1, 3), Folder::new("kafka"));
    let port = brokers.port();
    let mut courier = courier(&folder, &format!("kafka://127.0.0.2:{port}/flows"));
    let said = fails(&mut courier, 0..200);
    assert!(said.contains("cannot connect to 127.0.0.2") && said.contains("refused"), "{said}");
    let relay = Relay::start(port, Wants::default());
    settle(&mut courier);
    all_are_there(&brokers, 0..200);

    relay.becomes(Mood::Stalls);
    let said = fails(&mut courier, 200..400);
    assert!(said.contains("nothing is acknowledged for 5 s"), "{said}");
    relay.becomes(Mood::Passes);
    settle(&mut courier);

    relay.becomes(Mood::Raves);
    fails(&mut courier, 400..600);
    assert_eq!(state(&courier).spooled_records, 200, "{:?}", state(&courier));
    relay.becomes(Mood::Passes);
    settle(&mut courier);

    drop(relay);
    courier.write(&records(600..800)).expect("it waits on disk");
    let relay = Relay::start(port, Wants::default());
    settle(&mut courier);
    courier.write(&records(800..1000)).expect("taken");
    courier.finish().expect("it lasts");
    all_are_there(&brokers, 0..1000);
    assert_eq!((state(&courier).refused_records, state(&courier).spooled_records), (0, 0));
    drop(relay);
}

/// Answers that say to try again, connections that are cut, leaders that move and brokers that are down. One message is on
/// its way where errors are told: these brokers, unlike Kafka's, take those behind it without it, and librdkafka knows that
/// Kafka's do not.
#[test]
fn brokers_change_within_a_batch() {
    let (brokers, folder) = (Brokers::start(3, 3), Folder::new("kafka"));
    let mut courier = courier(&folder, &brokers.url("?compression=none"));
    let errors = [
        Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT,
        Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ];
    for (number, error) in (0..).zip(errors) {
        brokers.0.request_errors(RDKafkaApiKey::Produce, &[error]);
        courier.write(&records(number..number + 1)).expect("taken");
        settle(&mut courier);
        assert_eq!(state(&courier).failures, 0, "{error:?}: {:?}", state(&courier));
    }
    courier.write(&records(4..300)).expect("taken");
    for partition in 0..3 {
        brokers.0.partition_leader("flows", partition, Some(3)).expect("a leader");
    }
    brokers.0.broker_down(1).expect("a broker");
    brokers.0.broker_down(2).expect("a broker");
    courier.write(&records(300..600)).expect("taken, or on disk");
    settle(&mut courier);
    brokers.0.broker_up(1).expect("a broker");
    brokers.0.broker_up(2).expect("a broker");
    all_are_there(&brokers, 0..600);
}

/// A partition whose leader is away for longer than is waited for, and nobody else becomes it: what it should have waits on
/// disk, and is there once it is back. (Without any leader these brokers end with a segmentation fault.)
#[test]
fn a_partition_whose_leader_is_away_is_waited_for() {
    let (brokers, folder) = (Brokers::start(2, 2), Folder::new("kafka"));
    let mut courier = courier(&folder, &brokers.url(""));
    brokers.0.partition_leader("flows", 0, Some(1)).expect("a leader");
    brokers.0.partition_leader("flows", 1, Some(2)).expect("a leader");
    courier.write(&records(0..100)).expect("taken");
    settle(&mut courier);
    brokers.0.broker_down(2).expect("a broker");
    let said = fails(&mut courier, 100..300);
    assert!(said.contains("nothing is acknowledged for 5 s"), "{said}");
    courier.write(&records(300..400)).expect("it waits on disk");
    assert_eq!(state(&courier).spooled_records, 300, "{:?}", state(&courier));
    brokers.0.broker_up(2).expect("a broker");
    settle(&mut courier);
    courier.finish().expect("it lasts");
    all_are_there(&brokers, 0..400);
    assert_eq!(state(&courier).refused_records, 0);
}

/// What a broker calls too large goes in smaller sets, once; what it calls so alone is refused, and counted.
#[test]
fn what_is_too_large_is_refused() {
    let brokers = Brokers::start(1, 1);
    let mut peer = target(&brokers.url("")).peer();
    peer.connect().expect("it is there");
    let too_large = Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    brokers.0.request_errors(RDKafkaApiKey::Produce, &[too_large]);
    let sent = peer.send(&records(0..100)).expect("taken");
    assert_eq!((sent.refused, sent.why), (0, None));
    all_are_there(&brokers, 0..100);

    // In a set of whatever size.
    peer.connect().expect("it is there");
    brokers.0.request_errors(RDKafkaApiKey::Produce, &[too_large; 3]);
    let sent = peer.send(&records(100..101)).expect("taken");
    assert_eq!(sent.refused, 1);
    assert!(sent.why.is_some_and(|why| why.contains("too large")));
    all_are_there(&brokers, 0..100);
}

/// A producer whose broker says that its numbers are wrong for good is no use any more: the next one is.
#[test]
fn a_fatal_error_makes_a_new_producer() {
    let (brokers, folder) = (Brokers::start(1, 1), Folder::new("kafka"));
    let mut courier = courier(&folder, &brokers.url(""));
    courier.write(&records(0..10)).expect("taken");
    brokers.0.request_errors(RDKafkaApiKey::Produce, &[Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH; 3]);
    courier.write(&records(10..20)).expect("taken, or on disk");
    settle(&mut courier);
    courier.write(&records(20..30)).expect("taken");
    settle(&mut courier);
    all_are_there(&brokers, 0..30);
}
