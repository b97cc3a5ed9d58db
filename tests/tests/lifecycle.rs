//! How the agent comes and goes, in order and otherwise, and what it leaves behind.

use nix::sys::signal::Signal;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::meanwhile::meanwhile;
use weir_tests::output::{Count, Flow};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;
use weir_tests::witness::{link, tc_filters, tcx_links};

/// By this number the left interface is told from all others on the machine.
const INDEX: u32 = 70_001;
const SOON: Duration = Duration::from_secs(5);

fn left_only(pair: &Pair, more: &[&str]) -> Agent {
    Agent::start(&pair.left, &[&["-i", INTERFACE, "-o", "json", "--interval", "100ms"], more].concat())
}

fn assert_nothing_attached(pair: &Pair) {
    wait_for("nothing of weir is attached", SOON, || {
        (tcx_links(INDEX) == 0 && tc_filters(&pair.left, INTERFACE) == 0).then_some(())
    });
}

/// The first agent dies while packets flow. Its successor must find a clean place, count
/// each packet once, and leave a clean place.
fn killed_and_restarted(hooks: [&str; 2]) {
    let pair = Pair::with_left_index(Some(INDEX));
    let injector = Injector::open(&pair.left, INTERFACE);
    let others = Injector::open(&pair.left, INTERFACE);
    let load = || {
        Flood { packets: 1_000, flows: 100, mark: 1 }.send(&others);
    };
    let marker = Flood { packets: 10_000, flows: 10, mark: 2 };
    let (second, before) = meanwhile(load, || {
        let first = left_only(&pair, &["--hook", hooks[0]]);
        sleep(Duration::from_millis(500));
        first.kill();
        if hooks[0] == "tcx" {
            assert_nothing_attached(&pair);
        }
        let before = link(&pair.left, INTERFACE);
        let second = left_only(&pair, &["--hook", hooks[1]]);
        let attached = (tcx_links(INDEX), tc_filters(&pair.left, INTERFACE));
        assert_eq!(attached, if hooks[1] == "tcx" { (2, 0) } else { (0, 2) }, "one for each direction");
        marker.send(&injector);
        (second, before)
    });
    let outcome = second.stop();
    let sent = link(&pair.left, INTERFACE);

    outcome.assert_exact();
    marker.assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
    let seen = outcome.ledger(INTERFACE, "egress").seen.packets;
    let possible = sent.tx.packets + sent.tx_dropped - before.tx.packets - before.tx_dropped;
    assert!(seen <= possible, "{seen} seen of {possible} sent");
    assert_nothing_attached(&pair);
}

#[test]
fn root_killed_and_restarted_on_tcx() {
    killed_and_restarted(["tcx", "tcx"]);
}

#[test]
fn root_killed_and_restarted_on_clsact() {
    killed_and_restarted(["clsact", "clsact"]);
}

#[test]
fn root_killed_on_clsact_and_restarted_on_tcx() {
    killed_and_restarted(["clsact", "tcx"]);
}

#[test]
fn root_every_hook_and_place_counts_exactly() {
    let pair = Pair::with_left_index(Some(INDEX));
    let injector = Injector::open(&pair.left, INTERFACE);
    for hook in ["auto", "tcx", "clsact"] {
        for place in ["head", "tail"] {
            let agent = left_only(&pair, &["--hook", hook, "--attach", place]);
            let flood = Flood { packets: 10_000, flows: 100, mark: 1 };
            flood.send(&injector);
            let outcome = agent.stop();
            outcome.assert_exact();
            flood.assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
            assert_nothing_attached(&pair);
        }
    }
}

#[test]
fn root_a_filter_of_somebody_else_stays() {
    let pair = Pair::with_left_index(Some(INDEX));
    let filter = "qdisc add dev weir0 clsact; filter add dev weir0 egress prio 40000 protocol all u32 match u32 0 0 classid 1:1";
    for command in filter.split(';') {
        pair.left.run("tc", &command.split_whitespace().collect::<Vec<_>>());
    }
    let show = || pair.left.run("tc", &["filter", "show", "dev", INTERFACE, "egress"]);
    let before = show();
    assert!(before.contains("u32"), "{before}");
    for hook in ["clsact", "tcx"] {
        left_only(&pair, &["--hook", hook]).stop().assert_exact();
        assert_eq!(show(), before, "after --hook {hook}");
    }
}

/// Packets sent the moment before the signal are in the records.
#[test]
fn root_both_signals_end_with_a_last_drain() {
    let pair = Pair::with_left_index(Some(INDEX));
    let injector = Injector::open(&pair.left, INTERFACE);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let agent = Agent::start(&pair.left, &["-i", INTERFACE, "-o", "json", "--interval", "30s"]);
        let flood = Flood { packets: 50_000, flows: 500, mark: 1 };
        flood.send(&injector);
        let asked = Instant::now();
        let outcome = agent.stop_with(signal);
        assert!(asked.elapsed() < SOON, "{signal}: {:?}", asked.elapsed());
        outcome.assert_exact();
        flood.assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
        assert!(outcome.flows.iter().all(|flow| flow.flow_end_reason == "forced_end"));
        assert_nothing_attached(&pair);
    }
}

#[test]
fn root_a_duration_ends_by_itself() {
    let pair = Pair::with_left_index(Some(INDEX));
    let injector = Injector::open(&pair.left, INTERFACE);
    let started = Instant::now();
    let agent = left_only(&pair, &["--duration", "2s"]);
    let flood = Flood { packets: 100, flows: 10, mark: 1 };
    flood.send(&injector);
    let outcome = agent.wait();
    let lasted = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&lasted), "{lasted:?}");
    outcome.assert_exact();
    flood.assert_equals(&Flow::merge(&outcome.flows));
    assert_nothing_attached(&pair);
}

/// JSON is what a pipe gets without being asked.
#[test]
fn root_a_pipe_gets_json() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = Agent::start(&pair.left, &["-i", INTERFACE]);
    let flood = Flood { packets: 100, flows: 10, mark: 1 };
    flood.send(&injector);
    let outcome = agent.stop();
    outcome.assert_exact();
    flood.assert_equals(&Flow::merge(&outcome.flows));
}

#[test]
fn root_a_closed_pipe_ends_quietly() {
    let pair = Pair::with_left_index(Some(INDEX));
    let injector = Injector::open(&pair.left, INTERFACE);
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--idle-timeout", "1s"];
    let mut agent = Agent::start_unread(&pair.left, &args);
    agent.close_stdout();
    Flood { packets: 100, flows: 100, mark: 1 }.send(&injector);
    let outcome = agent.wait();
    let complaints: Vec<_> =
        outcome.stderr.iter().filter(|line| !line.starts_with("weir: attached")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    assert_nothing_attached(&pair);
}

/// The reader sleeps while flows come and go, many times what a pipe holds.
#[test]
fn root_a_slow_reader_loses_nothing_unsaid() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--idle-timeout", "1s"];
    let mut agent = Agent::start_unread(&pair.left, &args);
    let rounds: Vec<_> = (1..=10).map(|mark| Flood { packets: 40_000, flows: 20_000, mark }).collect();
    for round in &rounds {
        round.send(&injector);
        sleep(Duration::from_millis(500));
    }
    agent.read();
    let outcome = agent.stop();
    outcome.assert_books();
    let sent: Count = rounds.iter().map(Flood::total).sum();
    assert_eq!(outcome.ledger(INTERFACE, "egress").seen, sent);
}
