//! One packet, many observation points: counted once, and told of at each.

use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::bridge::{Bridged, GUEST, LEFT_PORT, RIGHT_PORT};
use weir_tests::conversation::Conversation;
use weir_tests::flood::Flood;
use weir_tests::frames::{IPV4, Ipv4, UDP, VLAN, ethernet, udp, vlan};
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::witness::{link, settled};

const FLOOD: Flood = Flood { packets: 10_000, flows: 100, mark: 1 };

fn counted(outcome: &Outcome) -> u64 {
    outcome.conversations.iter().map(Conversation::packets).sum()
}

/// What a bridge with these flags says of the flood.
fn across_a_bridge(args: &[&str]) -> Outcome {
    let bridged = Bridged::new();
    let agent = Agent::start_joined(&bridged.host, args);
    FLOOD.send(&Injector::open(&bridged.left, GUEST));
    let outcome = agent.stop();
    let wire = link(&bridged.left, GUEST).tx;
    assert_eq!((wire, link(&bridged.right, GUEST).rx), (FLOOD.total(), FLOOD.total()));
    outcome.assert_observed();
    for (interface, direction) in [(LEFT_PORT, "ingress"), (RIGHT_PORT, "egress")] {
        assert_eq!(outcome.ledger(interface, direction).seen, wire, "{interface} {direction}");
    }
    outcome
}

#[test]
fn root_a_packet_across_a_bridge_is_counted_once() {
    for dedup in ["first", "outer", "inner"] {
        let outcome = across_a_bridge(&["--dedup", dedup]);
        assert_eq!(counted(&outcome), FLOOD.packets, "--dedup {dedup}");
        for one in &outcome.conversations {
            let seen = [(LEFT_PORT, "ingress"), (RIGHT_PORT, "egress")].map(|(interface, direction)| {
                one.observed(interface, direction, false).map(|seen| seen.count)
            });
            assert_eq!(seen, [Some(one.count); 2], "{one:?}");
        }
    }
}

#[test]
fn root_without_dedup_it_is_counted_at_each_interface() {
    let outcome = across_a_bridge(&["--dedup", "off"]);
    assert_eq!(counted(&outcome), 2 * FLOOD.packets);
    assert!(outcome.conversations.iter().all(|one| one.observations.len() == 1));
}

/// After half of the packets the bridge is told to keep them from the port that they left by.
#[test]
fn root_loss_between_two_interfaces_shows() {
    let bridged = Bridged::new();
    let agent = Agent::start_joined(&bridged.host, &[]);
    let injector = Injector::open(&bridged.left, GUEST);
    let frame = Ipv4::default().frame(UDP, &udp(40_000, 53, &[0; 100]));
    for flood in ["on", "off"] {
        bridged.host.ip(&format!("link set {RIGHT_PORT} type bridge_slave flood {flood}"));
        (0..10).for_each(|_| injector.send(&frame));
        settled(&bridged.right, GUEST);
    }
    let outcome = agent.stop();
    outcome.assert_observed();
    let [one] = &outcome.conversations[..] else { panic!("{:?}", outcome.conversations) };
    let (sent, arrived) = (link(&bridged.left, GUEST).tx, link(&bridged.right, GUEST).rx);
    assert_eq!((sent.packets, arrived.packets), (20, 10));
    assert_eq!((one.count, &*one.interface), (sent, LEFT_PORT));
    assert_eq!(one.observed(LEFT_PORT, "ingress", false).map(|seen| seen.count), Some(sent));
    assert_eq!(one.observed(RIGHT_PORT, "egress", false).map(|seen| seen.count), Some(arrived));
}

/// One of the conversation's interfaces goes: its packets are exported with all others of the
/// record, and the conversation goes on.
#[test]
fn root_a_conversation_outlives_one_of_its_interfaces() {
    let bridged = Bridged::new();
    let agent = Agent::start_joined(&bridged.host, &["--interval", "200ms"]);
    let injector = Injector::open(&bridged.left, GUEST);
    let flood = Flood { packets: 1_000, flows: 1, mark: 1 };
    flood.send(&injector);
    sleep(Duration::from_millis(500));
    bridged.host.ip(&format!("link del {RIGHT_PORT}"));
    sleep(Duration::from_millis(2_500));
    flood.send(&injector);
    let outcome = agent.stop();
    outcome.assert_observed();
    assert_eq!(outcome.ledger(RIGHT_PORT, "egress").exported, flood.total());
    assert_eq!(counted(&outcome), 2 * flood.packets);
    let [first, second] = &outcome.conversations[..] else { panic!("{:?}", outcome.conversations) };
    assert_eq!((first.observations.len(), second.observations.len()), (2, 1));
    assert_eq!(first.flow_id, second.flow_id);
    assert_eq!((&*first.flow_end_reason, &*second.flow_end_reason), ("active_timeout", "forced_end"));
}

/// Loopback shows every packet twice: as it leaves and as it comes in.
#[test]
fn root_loopback_is_one_conversation() {
    for (dedup, times) in [("first", 1), ("off", 2)] {
        let pair = Pair::new();
        let agent = Agent::start_joined(&pair.left, &["-i", "lo", "--dedup", dedup]);
        pair.left.run("ping", &["-c", "3", "-i", "0.01", "127.0.0.1"]);
        let outcome = agent.stop();
        outcome.assert_observed();
        assert_eq!(outcome.conversations.len(), times);
        assert_eq!(counted(&outcome), times as u64 * link(&pair.left, "lo").tx.packets);
        assert!(outcome.conversations.iter().all(|one| one.reverse.is_some_and(|back| back.packets == 3)));
    }
}

#[test]
fn root_a_tag_is_told_at_each_point() {
    let bridged = Bridged::new();
    let agent = Agent::start_joined(&bridged.host, &[]);
    let packet = Ipv4::default().packet(UDP, &udp(40_000, 53, &[0; 100]));
    Injector::open(&bridged.left, GUEST).send(&ethernet(VLAN, &vlan(5, IPV4, &packet)));
    let outcome = agent.stop();
    outcome.assert_observed();
    let [one] = &outcome.conversations[..] else { panic!("{:?}", outcome.conversations) };
    assert_eq!((one.count.packets, outcome.flows[0].vlan), (1, Some(5)));
    for (interface, direction) in [(LEFT_PORT, "ingress"), (RIGHT_PORT, "egress")] {
        let seen = one.observed(interface, direction, false).expect("seen at both");
        assert_eq!((seen.vlan, seen.count.packets), (Some(5), 1), "{one:?}");
    }
}

/// Nothing on a wire of two hosts is counted by both its ends as two.
#[test]
fn root_both_directions_are_one_record() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    pair.left.run("ping", &["-c", "3", "-i", "0.01", RIGHT]);
    let outcome = agent.stop();
    outcome.assert_observed();
    let [one] = &outcome.conversations[..] else { panic!("{:?}", outcome.conversations) };
    let wire = link(&pair.left, INTERFACE);
    assert_eq!((one.count, one.reverse), (wire.tx, Some(wire.rx)));
    assert_eq!((one.source.0.as_deref(), one.destination.0.as_deref()), (Some(LEFT), Some(RIGHT)));
    assert_eq!(one.biflow_evidence.as_deref(), Some("request"));
    assert_ne!(one.count, Count::default());
}
