//! Several agents on one host: each counts every packet, none disturbs another, and none shares
//! what must be its own.

use std::collections::BTreeSet;
use std::thread;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::control::{claims, weir};
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::output::Flow;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::{Link, settled, tc_filters, tcx_links};

const INDEX: u32 = 70_003;

fn flood(mark: u8) -> Flood {
    Flood { packets: 20_000, flows: 200, mark }
}

fn start(pair: &Pair, hook: &str) -> Agent {
    Agent::start(&pair.left, &["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--hook", hook])
}

/// Packets in both directions.
fn send(pair: &Pair, mark: u8) {
    flood(mark).send(&Injector::open(&pair.left, INTERFACE));
    flood(mark + 100).send(&Injector::open(&pair.right, INTERFACE));
}

/// What the interface counted while the agent was attached is what the agent saw, flow by flow.
fn assert_saw(outcome: &Outcome, before: Link, after: Link, marks: &[u8]) {
    outcome.assert_exact();
    let seen = |direction| outcome.ledger(INTERFACE, direction).seen;
    let sent = after.tx.packets + after.tx_dropped - before.tx.packets - before.tx_dropped;
    assert_eq!(seen("egress").packets, sent, "against ip -s link");
    assert_eq!(seen("ingress").packets, after.rx.packets - before.rx.packets, "against ip -s link");
    assert_eq!(seen("ingress").bytes, after.rx.bytes - before.rx.bytes, "against ip -s link");
    for mark in marks {
        flood(*mark).assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
        flood(mark + 100).assert_equals(&Flow::merge(outcome.flows(INTERFACE, "ingress")));
    }
}

/// The first stops in the middle; the second goes on.
fn side_by_side(hooks: [&str; 2]) {
    let pair = Pair::with_left_index(Some(INDEX));
    let zero = settled(&pair.left, INTERFACE);
    let [first, second] = hooks.map(|hook| start(&pair, hook));
    assert_ne!(first.socket(), second.socket());
    assert_ne!(first.start_line(), second.start_line());
    let said = second.start_line();
    assert!(
        said.contains(" agent on this host (control socket ")
            && said.contains(&*second.socket().to_string_lossy()),
        "{said}"
    );
    send(&pair, 1);
    let between = settled(&pair.left, INTERFACE);
    assert_saw(&first.stop(), zero, between, &[1]);
    send(&pair, 2);
    let end = settled(&pair.left, INTERFACE);
    assert_saw(&second.stop(), zero, end, &[1, 2]);
    assert_eq!((tcx_links(INDEX), tc_filters(&pair.left, INTERFACE)), (0, 0));
}

#[test]
fn root_two_agents_on_tcx_count_exactly() {
    side_by_side(["tcx", "tcx"]);
}

#[test]
fn root_two_agents_on_clsact_count_exactly() {
    side_by_side(["clsact", "clsact"]);
}

#[test]
fn root_two_agents_on_different_hooks_count_exactly() {
    side_by_side(["tcx", "clsact"]);
}

/// One is killed between packets; neither the one beside it nor a third that cleans up after it is disturbed.
fn one_is_killed(hook: &str) {
    let pair = Pair::with_left_index(Some(INDEX));
    let zero = settled(&pair.left, INTERFACE);
    let (first, second) = (start(&pair, hook), start(&pair, hook));
    let (left_behind, number) = (second.pid(), second.socket());
    send(&pair, 1);
    second.kill_untidily();
    assert!(claims().iter().any(|claim| claim.pid == left_behind), "what kill -9 leaves");
    send(&pair, 2);
    let between = settled(&pair.left, INTERFACE);
    let third = start(&pair, hook);
    assert_eq!(third.socket(), number, "the place of the killed one is taken over");
    assert!(claims().iter().all(|claim| claim.pid != left_behind), "{:?}", claims());
    send(&pair, 3);
    let end = settled(&pair.left, INTERFACE);
    assert_saw(&first.stop(), zero, end, &[1, 2, 3]);
    assert_saw(&third.stop(), between, end, &[3]);
    assert_eq!((tcx_links(INDEX), tc_filters(&pair.left, INTERFACE)), (0, 0));
}

#[test]
fn root_a_killed_agent_disturbs_nobody_on_tcx() {
    one_is_killed("tcx");
}

#[test]
fn root_a_killed_agent_disturbs_nobody_on_clsact() {
    one_is_killed("clsact");
}

/// All at once, where a killed one has left its filters: each finds its own place.
#[test]
fn root_agents_that_start_at_once_never_share() {
    let pair = Pair::with_left_index(Some(INDEX));
    start(&pair, "clsact").kill_untidily();
    let zero = settled(&pair.left, INTERFACE);
    let agents: Vec<_> = thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| start(&pair, "clsact"))).collect();
        starts.into_iter().map(|start| start.join().expect("it starts")).collect()
    });
    let sockets: BTreeSet<_> = agents.iter().map(Agent::socket).collect();
    assert_eq!(sockets.len(), agents.len(), "{sockets:?}");
    // One for each direction.
    assert_eq!(tc_filters(&pair.left, INTERFACE), 2 * agents.len());
    send(&pair, 1);
    let end = settled(&pair.left, INTERFACE);
    for agent in agents {
        assert_saw(&agent.stop(), zero, end, &[1]);
    }
    assert!(sockets.iter().all(|socket| !socket.exists() && !socket.with_extension("lock").exists()));
}

#[test]
fn root_status_shows_every_agent() {
    let pair = Pair::new();
    let agents = [start(&pair, "auto"), start(&pair, "auto")];
    let lines = weir(&["status", "-o", "json"]);
    let lines = String::from_utf8_lossy(&lines.stdout).into_owned();
    let screen = weir(&["status"]);
    let screen = String::from_utf8_lossy(&screen.stdout).into_owned();
    for agent in &agents {
        let named = format!("\"pid\":{},", agent.pid());
        assert_eq!(lines.lines().filter(|line| line.contains(&named)).count(), 1, "{lines}");
        assert!(screen.contains(&format!("process {} ", agent.pid())), "{screen}");
    }
    let cost = weir(&["cost", "--for", "200ms", "-o", "json"]);
    let cost: serde_json::Value = serde_json::from_slice(&cost.stdout).expect("JSON");
    for agent in &agents {
        let programs = cost["programs"].as_array().expect("programs").iter();
        let of_it = programs.filter(|program| program["pid"] == agent.pid());
        let names: Vec<_> = of_it.filter_map(|program| program["name"].as_str()).collect();
        assert_eq!(names[..2], ["weir_ingress", "weir_egress"], "{cost}");
    }
}
