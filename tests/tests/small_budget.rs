//! A memory budget far too small for the traffic: packets may be lost from the records then,
//! but never from the books.

use nix::sys::signal::Signal;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, Pair};

const SMALL: &str = "1MiB";
const FLOOD: Flood = Flood { packets: 1_000_000, flows: 100_000, mark: 1 };

fn assert_accounted(outcome: &Outcome) {
    outcome.assert_books();
    let ledger = outcome.ledger(INTERFACE, "egress");
    assert_eq!(ledger.seen, FLOOD.total());
    for (cause, lost) in &ledger.lost_by {
        assert!(!cause.is_empty() && lost.bytes == lost.packets * Flood::FRAME_LENGTH, "{cause}: {lost:?}");
    }
}

#[test]
fn root_a_million_packets_in_a_small_budget() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = Agent::start(&pair.left, &["-i", INTERFACE, "-o", "json", "--memory-budget", SMALL]);
    FLOOD.send(&injector);
    assert_accounted(&agent.stop());
}

/// Nobody drains while the agent stands still, so that something must be lost, and it is said which.
#[test]
fn root_a_small_budget_and_a_stopped_agent() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = Agent::start(&pair.left, &["-i", INTERFACE, "-o", "json", "--memory-budget", SMALL]);
    agent.signal(Signal::SIGSTOP);
    FLOOD.send(&injector);
    agent.signal(Signal::SIGCONT);
    let outcome = agent.stop();

    assert_accounted(&outcome);
    let lost = outcome.ledger(INTERFACE, "egress").lost;
    assert_ne!(lost, Count::default(), "100 000 flows did not fit into {SMALL}");
    let mentions_loss = outcome.stderr.iter().any(|line| line.contains("lost"));
    assert!(mentions_loss, "a loss of {lost:?} without a word: {:?}", outcome.stderr);
}
