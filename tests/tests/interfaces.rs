//! Interfaces that come and go while the agent runs.

use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::netns::Namespace;
use weir_tests::output::Flow;
use weir_tests::pair::{INTERFACE, LEFT, Pair};
use weir_tests::wait_for;
use weir_tests::witness::{link, tcx_links};

/// By these numbers they are told from all others on the machine.
const INDEX: u32 = 72_001;
const OTHER: u32 = 72_002;
/// A new interface is watched within this.
const SOON: Duration = Duration::from_secs(1);
const SETTLED: Duration = Duration::from_secs(5);

fn add_pair(namespace: &Namespace, name: &str, index: u32) {
    namespace.ip(&format!("link add {name} index {index} type veth peer name other{index}"));
    for name in [name, &format!("other{index}")] {
        namespace.ip(&format!("link set {name} up"));
    }
}

fn wait_until_attached(index: u32) {
    wait_for("it is watched", SOON, || (tcx_links(index) == 2).then_some(()));
}

#[test]
fn root_an_interface_that_vanishes_is_still_accounted_for() {
    let pair = Pair::new();
    add_pair(&pair.left, "weir1", INDEX);
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

/// However seldom the counts are collected.
#[test]
fn root_an_interface_that_appears_is_watched_within_a_second() {
    let pair = Pair::new();
    let agent = Agent::start(&pair.left, &["-i", "weir*", "-o", "json", "--interval", "60s"]);
    add_pair(&pair.left, "weir1", INDEX);
    wait_until_attached(INDEX);
    let before = link(&pair.left, "weir1");
    let flood = Flood { packets: 10_000, flows: 100, mark: 1 };
    flood.send(&Injector::open(&pair.left, "weir1"));
    let sent = link(&pair.left, "weir1").tx.packets - before.tx.packets;
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(outcome.ledger("weir1", "egress").seen.packets, sent);
    flood.assert_equals(&Flow::merge(outcome.flows("weir1", "egress")));
    assert!(outcome.flows("weir1", "egress").all(|flow| flow.interface_kind == "veth"));
}

/// Gone and there again, under the same number, before the agent looks: it is another one.
#[test]
fn root_an_interface_that_takes_the_number_of_another_is_watched() {
    let pair = Pair::new();
    add_pair(&pair.left, "weir1", INDEX);
    let agent = Agent::start(&pair.left, &["-i", "weir*", "-o", "json"]);
    let first = Flood { packets: 1_000, flows: 10, mark: 1 };
    first.send(&Injector::open(&pair.left, "weir1"));
    pair.left.run("sh", &["-c", &format!(
        "ip link del weir1; ip link add weir2 index {INDEX} type veth peer name other2; ip link set weir2 up; ip link set other2 up"
    )]);
    wait_until_attached(INDEX);
    let second = Flood { packets: 2_000, flows: 10, mark: 2 };
    second.send(&Injector::open(&pair.left, "weir2"));
    let outcome = agent.stop();
    outcome.assert_exact();
    first.assert_equals(&Flow::merge(outcome.flows("weir1", "egress")));
    second.assert_equals(&Flow::merge(outcome.flows("weir2", "egress")));
    assert_eq!(outcome.ledger("weir1", "egress").seen, first.total());
    assert_eq!(outcome.ledger("weir2", "egress").seen, second.total());
}

#[test]
fn root_a_renamed_interface_is_the_same() {
    let pair = Pair::new();
    add_pair(&pair.left, "weir1", INDEX);
    let agent = Agent::start(&pair.left, &["-o", "json"]);
    let before = Flood { packets: 1_000, flows: 10, mark: 1 };
    before.send(&Injector::open(&pair.left, "weir1"));
    pair.left.ip("link set weir1 name renamed");
    let after = Flood { packets: 1_000, flows: 10, mark: 2 };
    after.send(&Injector::open(&pair.left, "renamed"));
    sleep(Duration::from_millis(500));
    let outcome = agent.stop();
    outcome.assert_exact();
    let flows = Flow::merge(outcome.flows("renamed", "egress"));
    before.assert_equals(&flows);
    after.assert_equals(&flows);
    assert_eq!(outcome.ledger("renamed", "egress").seen, before.total() + after.total());
}

#[test]
fn root_what_is_excluded_is_left_alone() {
    let pair = Pair::with_left_index(Some(INDEX));
    add_pair(&pair.left, "weir1", OTHER);
    let selections: [&[&str]; 4] = [
        &["-i", "weir*", "--exclude-interface", "weir1"],
        &["--exclude-interface", "*1", "--exclude-interface", "other*"],
        &["--interface-address", "10.77.0.0/16"],
        &["--interface-kind", "veth", "--interface-address", LEFT],
    ];
    for selection in selections {
        let agent = Agent::start(&pair.left, &[selection, &["-o", "json"]].concat());
        assert_eq!((tcx_links(INDEX), tcx_links(OTHER)), (2, 0), "{selection:?}");
        agent.stop().assert_exact();
    }
    for (kinds, links) in
        [(&["--interface-kind", "no-veth"][..], (0, 0)), (&["--interface-kind", "veth"], (2, 2))]
    {
        let agent = Agent::start(&pair.left, &[kinds, &["-o", "json"]].concat());
        assert_eq!((tcx_links(INDEX), tcx_links(OTHER)), links, "{kinds:?}");
        agent.stop().assert_exact();
    }
}

/// An address comes and goes, and with it the interface.
#[test]
fn root_an_address_makes_the_difference() {
    let pair = Pair::new();
    add_pair(&pair.left, "weir1", INDEX);
    let injector = Injector::open(&pair.left, "weir1");
    let agent = Agent::start(&pair.left, &["--interface-address", "10.0.0.0/8", "-o", "json"]);
    assert_eq!(tcx_links(INDEX), 0);
    pair.left.ip("address add 10.78.0.1/24 dev weir1");
    wait_until_attached(INDEX);
    let flood = Flood { packets: 1_000, flows: 10, mark: 1 };
    flood.send(&injector);
    pair.left.ip("address del 10.78.0.1/24 dev weir1");
    wait_for("it is let go", SETTLED, || (tcx_links(INDEX) == 0).then_some(()));
    Flood { packets: 500, flows: 10, mark: 2 }.send(&injector);
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(outcome.ledger("weir1", "egress").seen, flood.total());
    flood.assert_equals(&Flow::merge(outcome.flows("weir1", "egress")));
}

/// A device of each kind that this kernel can make, by the kernel's own word for it.
#[test]
fn root_kinds_are_told() {
    let namespace = Namespace::new();
    namespace.ip("link set lo up");
    let made = [
        ("bridge", "weirb", "type bridge"),
        ("vlan", "weirb.7", "link weirb type vlan id 7"),
        ("vxlan", "weirx", "type vxlan id 7 dstport 4789 local 127.0.0.1"),
        ("veth", "weirv", "type veth peer name other"),
        ("dummy", "weird", "type dummy"),
    ];
    let add = |device: &str, what: &str| {
        namespace.enter(|| {
            let words = what.split(' ');
            std::process::Command::new("ip").args(["link", "add", device]).args(words).output().expect("ip")
        })
    };
    // Not every kernel has every kind; but this test needs some.
    let there: Vec<_> = made.iter().filter(|(_, name, what)| add(name, what).status.success()).collect();
    assert!(there.len() >= 3, "{there:?}");
    for (kind, name, _) in there {
        let agent = Agent::start(&namespace, &["--interface-kind", kind, "-o", "json"]);
        let outcome = agent.stop();
        assert!(
            outcome.ledgers.iter().any(|ledger| ledger.interface == *name),
            "{kind}: {:?}",
            outcome.ledgers
        );
        assert!(outcome.ledgers.iter().all(|ledger| ledger.interface != "lo"), "{:?}", outcome.ledgers);
    }
    let agent = Agent::start(&namespace, &["--interface-kind", "loopback", "-o", "json"]);
    assert!(agent.stop().ledgers.iter().all(|ledger| ledger.interface == "lo"));
}
