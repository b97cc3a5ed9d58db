//! What is wrong is said.

use crate::brokers::Brokers;
use crate::mistake;
use crate::relay::{Mood, Relay, Wants};
use rdkafka::types::RDKafkaRespErr as Code;
use weir_tests::free_port;

#[test]
fn topics_that_cannot_be_used() {
    let brokers = Brokers::start(1, 1);
    for (error, part) in [
        (Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "Unknown topic or partition"),
        (Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed"),
    ] {
        brokers.0.topic_error("flows", error).expect("a topic");
        let said = mistake(&brokers.url(""));
        assert!(said.contains("topic flows of 127.0.0.1:") && said.contains(part), "{said}");
    }
}

#[test]
fn peers_that_are_no_brokers() {
    let said = mistake(&format!("kafka://127.0.0.1:{}/flows", free_port()));
    assert!(said.contains("refused"), "{said}");
    let brokers = Brokers::start(1, 1);
    let relay = Relay::start(brokers.port(), Wants::default());
    relay.becomes(Mood::Raves);
    let said = mistake(&relay.url("kafka", "/flows"));
    assert!(said.contains("topic flows of 127.0.0.2:") && said.contains("Receive failed"), "{said}");
    relay.becomes(Mood::Stalls);
    let said = mistake(&relay.url("kafka", "/flows"));
    assert!(said.contains("no broker answers"), "{said}");
}
