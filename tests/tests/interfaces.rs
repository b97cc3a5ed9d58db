//! Interfaces that come and go while the agent runs.

use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::output::Flow;
use weir_tests::pair::{INTERFACE, Pair};

#[test]
fn root_an_interface_that_vanishes_is_still_accounted_for() {
    let pair = Pair::new();
    pair.left.ip("link add weir1 type veth peer name other1");
    for name in ["weir1", "other1"] {
        pair.left.ip(&format!("link set {name} up"));
    }
    let injector = Injector::open(&pair.left, "weir1");
    let agent = Agent::start(&pair.left, &["-i", "weir*", "-o", "json"]);
    let flood = Flood { packets: 10_000, flows: 100, mark: 1 };
    flood.send(&injector);
    pair.left.ip("link del weir1");
    // The agent goes on with the one that is left.
    sleep(Duration::from_millis(1_500));
    let after = Flood { packets: 1_000, flows: 10, mark: 2 };
    after.send(&Injector::open(&pair.left, INTERFACE));
    let outcome = agent.stop();

    outcome.assert_exact();
    assert_eq!(outcome.ledger("weir1", "egress").seen, flood.total());
    flood.assert_equals(&Flow::merge(outcome.flows("weir1", "egress")));
    after.assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
}

#[test]
fn root_an_interface_that_appears_is_watched() {
    let pair = Pair::new();
    let agent = Agent::start(&pair.left, &["-i", "weir*", "-o", "json"]);
    pair.left.ip("link add weir1 type veth peer name other1");
    for name in ["weir1", "other1"] {
        pair.left.ip(&format!("link set {name} up"));
    }
    sleep(Duration::from_secs(3));
    let flood = Flood { packets: 10_000, flows: 100, mark: 1 };
    flood.send(&Injector::open(&pair.left, "weir1"));
    let outcome = agent.stop();
    outcome.assert_exact();
    flood.assert_equals(&Flow::merge(outcome.flows("weir1", "egress")));
}
