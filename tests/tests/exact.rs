//! The promise itself: at full speed, with drains every 100 ms, packets and bytes per flow
//! and in total are what was sent, to the packet.

use weir_tests::agent::{Agent, Outcome};
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::output::{Count, Flow};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::settled;

const MILLION: u64 = 1_000_000;

/// Enough for 100 000 flows twice (two generations) on each of a few CPUs.
const ROOMY: &str = "256MiB";

fn watch(pair: &Pair) -> [Agent; 2] {
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--memory-budget", ROOMY];
    [Agent::start(&pair.left, &args), Agent::start(&pair.right, &args)]
}

fn merged(outcome: &Outcome, direction: &str) -> Vec<Flow> {
    Flow::merge(outcome.flows(INTERFACE, direction))
}

fn a_million_packets_over(flows: u64) {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agents = watch(&pair);
    let flood = Flood { packets: MILLION, flows, mark: 1 };
    let sent = flood.send(&injector);
    let wire = settled(&pair.left, INTERFACE);
    let [left, right] = agents.map(Agent::stop);

    left.assert_exact();
    assert_eq!(left.ledger(INTERFACE, "egress").seen, sent);
    flood.assert_equals(&merged(&left, "egress"));
    assert_eq!(left.ledger(INTERFACE, "ingress").seen, Count::default(), "the pair is silent");

    // Between the two hooks the kernel has a queue of its own that may overflow; the
    // interface counts what it then drops.
    right.assert_exact();
    assert_eq!(wire.tx.packets + wire.tx_dropped, sent.packets);
    assert_eq!(right.ledger(INTERFACE, "ingress").seen, wire.tx);
    if wire.tx_dropped == 0 {
        flood.assert_equals(&merged(&right, "ingress"));
    }
}

#[test]
fn root_a_million_packets_in_1_flow() {
    a_million_packets_over(1);
}

#[test]
fn root_a_million_packets_in_40_flows() {
    a_million_packets_over(40);
}

#[test]
fn root_a_million_packets_in_100_000_flows() {
    a_million_packets_over(100_000);
}

/// Two senders on two CPUs write to the same flows at once: what each CPU counted must add up.
#[test]
fn root_two_senders_in_the_same_flows() {
    let pair = Pair::new();
    let injectors = [(); 2].map(|()| Injector::open(&pair.left, INTERFACE));
    let [left, right] = watch(&pair);
    let half = Flood { packets: MILLION / 2, flows: 1_000, mark: 1 };
    std::thread::scope(|scope| {
        for injector in &injectors {
            scope.spawn(|| half.send(injector));
        }
    });
    let wire = settled(&pair.left, INTERFACE);
    let [left, right] = [left, right].map(Agent::stop);

    let both = Flood { packets: MILLION, ..half };
    left.assert_exact();
    both.assert_equals(&merged(&left, "egress"));
    assert_eq!(left.ledger(INTERFACE, "egress").seen, both.total());
    right.assert_exact();
    assert_eq!(right.ledger(INTERFACE, "ingress").seen, wire.tx);
}

/// The flows of a quiet host: few packets, then nothing, over many drains.
#[test]
fn root_a_trickle_over_many_drains() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agents = watch(&pair);
    let drop_by_drop = Flood { packets: 7, flows: 3, mark: 1 };
    for _ in 0..60 {
        drop_by_drop.send(&injector);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let [left, right] = agents.map(Agent::stop);

    let sent = Count { packets: 420, bytes: 420 * Flood::FRAME_LENGTH };
    for (outcome, direction) in [(&left, "egress"), (&right, "ingress")] {
        outcome.assert_exact();
        assert_eq!(outcome.ledger(INTERFACE, direction).seen, sent);
        assert_eq!(merged(outcome, direction).len(), 3);
    }
}
