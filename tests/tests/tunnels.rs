//! What tunnels carry, where it is asked for: a real VXLAN device, and crafted frames.

use weir_tests::agent::{Agent, Outcome};
use weir_tests::conversation::Conversation;
use weir_tests::frames::Ipv4;
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::witness::link;

const TUNNEL: &str = "weirvx";
const INNER_LEFT: &str = "10.99.0.1";
const INNER_RIGHT: &str = "10.99.0.2";
const PINGS: u64 = 10;

/// A VXLAN tunnel over the pair's wire, with known neighbours: no ARP inside either.
fn tunnel(pair: &Pair) {
    for (end, remote, own, other, macs) in [
        (&pair.left, RIGHT, INNER_LEFT, INNER_RIGHT, ["02:00:00:00:01:01", "02:00:00:00:01:02"]),
        (&pair.right, LEFT, INNER_RIGHT, INNER_LEFT, ["02:00:00:00:01:02", "02:00:00:00:01:01"]),
    ] {
        end.ip(&format!(
            "link add {TUNNEL} address {} type vxlan id 42 remote {remote} dstport 4789 dev {INTERFACE}",
            macs[0]
        ));
        end.ip(&format!("address add {own}/24 dev {TUNNEL}"));
        end.ip(&format!("link set {TUNNEL} up"));
        end.ip(&format!("neighbour replace {other} lladdr {} dev {TUNNEL} nud permanent", macs[1]));
    }
}

fn ping_through(pair: &Pair, flags: &[&str]) -> Outcome {
    tunnel(pair);
    let agent = Agent::start_joined(&pair.left, flags);
    pair.left.run("ping", &["-c", &PINGS.to_string(), "-i", "0.01", INNER_RIGHT]);
    let outcome = agent.stop();
    outcome.assert_observed();
    outcome
}

fn of<'a>(outcome: &'a Outcome, protocol: &str, destination: &str) -> Vec<&'a Conversation> {
    let wanted = |one: &&Conversation| {
        one.protocol.as_deref() == Some(protocol) && one.destination.0.as_deref() == Some(destination)
    };
    outcome.conversations.iter().filter(wanted).collect()
}

#[test]
fn root_a_packet_in_a_tunnel_is_one_conversation_with_a_parent() {
    let pair = Pair::new();
    let outcome = ping_through(&pair, &["--decapsulate", "-i", INTERFACE, "-i", TUNNEL]);
    let [inner] = of(&outcome, "icmp", INNER_RIGHT)[..] else { panic!("{:?}", outcome.conversations) };
    // VXLAN's source port tells flows apart: the way there and the way back are two tunnels.
    let [outer] = of(&outcome, "udp", RIGHT)[..] else { panic!("{:?}", outcome.conversations) };
    assert_eq!(inner.parent_id.as_ref(), Some(&outer.flow_id));
    assert_eq!(outer.parent_id, None);
    assert_eq!((outer.destination.1, outer.count.packets), (Some(4789), PINGS));

    // The device counts what it carries, its own headers aside; so does each of the observations.
    let there = Count { packets: PINGS, bytes: PINGS * 98 };
    let carried = link(&pair.left, TUNNEL);
    assert!(carried.tx.packets >= PINGS && carried.rx.packets >= PINGS, "{carried:?}");
    assert_eq!((inner.count, inner.reverse), (there, Some(there)));
    let seen = |interface: &str, direction: &str, decapsulated| {
        let fits = |one: &&weir_tests::conversation::Observation| {
            (&*one.interface, &*one.direction, one.decapsulated) == (interface, direction, decapsulated)
        };
        inner.observations.iter().find(fits).map(|one| one.count)
    };
    for direction in ["ingress", "egress"] {
        assert_eq!(seen(TUNNEL, direction, false), Some(there), "{direction}");
        assert_eq!(seen(INTERFACE, direction, true), Some(there), "{direction}");
    }
    assert_eq!(outer.count.bytes, PINGS * (98 + 50), "outer headers: 14 + 20 + 8 + 8");
}

#[test]
fn root_a_filter_on_what_is_inside_keeps_the_parent() {
    let pair = Pair::new();
    let filter = "protocol == icmp and parent_id != null";
    let flags = ["--decapsulate", "-i", INTERFACE, "-i", TUNNEL, "--filter", filter];
    let outcome = ping_through(&pair, &flags);
    let [inner] = of(&outcome, "icmp", INNER_RIGHT)[..] else { panic!("{:?}", outcome.conversations) };
    assert_eq!(inner.count.packets, PINGS);
    assert!(of(&outcome, "udp", RIGHT).is_empty(), "the tunnel itself is not wanted");
}

#[test]
fn root_tunnels_are_left_closed_unless_asked() {
    let pair = Pair::new();
    let outcome = ping_through(&pair, &["-i", INTERFACE]);
    assert!(of(&outcome, "icmp", INNER_RIGHT).is_empty());
    assert_eq!(of(&outcome, "udp", RIGHT).len(), 1);
    assert!(outcome.ledgers.iter().all(|ledger| !ledger.decapsulated));
}

/// Segments of a super-packet each carry a copy of the outer headers.
#[test]
fn root_tcp_in_a_tunnel_is_exact() {
    let pair = Pair::new();
    tunnel(&pair);
    let agent = Agent::start_joined(&pair.left, &["--decapsulate", "-i", INTERFACE, "-i", TUNNEL]);
    weir_tests::iperf::iperf(&pair.left, &pair.right, INNER_RIGHT, "20M");
    let outcome = agent.stop();
    outcome.assert_observed();
    let mut checked = 0;
    for inner in of(&outcome, "tcp", INNER_RIGHT) {
        let sum = |decapsulated: bool, reverse: bool| -> Count {
            let of = |one: &&weir_tests::conversation::Observation| {
                one.decapsulated == decapsulated && one.reverse == reverse
            };
            inner.observations.iter().filter(of).map(|one| one.count).sum()
        };
        assert_eq!(sum(true, false), sum(false, false), "{inner:?}");
        assert_eq!(sum(true, true), sum(false, true), "{inner:?}");
        checked += sum(true, false).bytes;
    }
    // iperf's server resets the connection when it has read enough for its report: the last of it may never be sent.
    assert!(checked > 10 << 20, "{checked} bytes inside");
}

/// IP in IP has no device in every kernel, but frames can be made.
#[test]
fn root_a_crafted_tunnel_is_looked_into() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = Agent::start_joined(&pair.left, &["--decapsulate", "-i", INTERFACE]);
    let (source, destination) = ([10, 99, 1, 1].into(), [10, 99, 1, 2].into());
    let inner =
        Ipv4 { source, destination, ..Ipv4::default() }.packet(17, &weir_tests::frames::udp(7, 53, &[0; 18]));
    let frame = Ipv4::default().frame(4, &inner);
    injector.flood(&frame, 5, |_, _| {});
    let outcome = agent.stop();
    outcome.assert_observed();
    let [carried] = of(&outcome, "udp", "10.99.1.2")[..] else { panic!("{:?}", outcome.conversations) };
    let carrier: Vec<_> =
        outcome.conversations.iter().filter(|one| one.protocol.as_deref() == Some("ipip")).collect();
    assert_eq!(carried.parent_id.as_ref(), Some(&carrier[0].flow_id));
    assert_eq!(carried.count, Count { packets: 5, bytes: 5 * inner.len() as u64 });
}
