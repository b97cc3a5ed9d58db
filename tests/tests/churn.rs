//! A thousand interfaces come and go: nothing of the agent grows, and it goes on counting exactly.

use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};
use std::fs;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::netns::Namespace;
use weir_tests::output::{Count, Flow};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;
use weir_tests::witness::link;

const BATCH: u32 = 50;
const BATCHES: u32 = 20;
const FIRST_INDEX: u32 = 80_000;
/// The kernel waits for a grace period for each program that is attached.
const SETTLED: Duration = Duration::from_secs(20);

/// Has `ip` do one thing for each pair of a batch: much faster than one at a time.
fn ip_for_each(namespace: &Namespace, batch: u32, what: impl Fn(u32) -> String) {
    let lines: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(what).collect();
    namespace.run("sh", &["-c", &format!("printf '{}\\n' | ip -batch -", lines.join("\\n"))]);
}

/// How many of a batch are watched: by a program each way. The numbers are of this test alone.
fn watched(batch: u32) -> usize {
    let first = FIRST_INDEX + 2 * BATCH * batch;
    let ours = first..first + 2 * BATCH;
    let links = LinkInfoIter::default();
    let of_ours =
        links.filter(|link| matches!(&link.info, LinkTypeInfo::Tcx(tcx) if ours.contains(&tcx.ifindex)));
    of_ours.count() / 2
}

fn descriptors(agent: &Agent) -> usize {
    fs::read_dir(format!("/proc/{}/fd", agent.pid())).expect("it runs").count()
}

fn resident_kilobytes(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
fn root_a_thousand_pairs_come_and_go() {
    let pair = Pair::new();
    let left = &pair.left;
    let agent = Agent::start(left, &["--exclude-interface", "peer*", "-o", "json", "--interval", "500ms"]);
    let at_start = descriptors(&agent);
    let flood = Flood { packets: 1_000, flows: 10, mark: 1 };
    let (mut measured, mut warm) = (Vec::new(), 0);
    for batch in 0..BATCHES {
        ip_for_each(left, batch, |pair| {
            let index = FIRST_INDEX + 2 * pair;
            let peer = format!("name peer{pair} index {}", index + 1);
            format!("link add churn{pair} index {index} up type veth peer {peer}\\nlink set peer{pair} up")
        });
        wait_for("all are watched", SETTLED, || (watched(batch) == BATCH as usize).then_some(()));
        let name = format!("churn{}", batch * BATCH + batch);
        flood.send(&Injector::open(left, &name));
        measured.push((name.clone(), link(left, &name).tx.packets));
        ip_for_each(left, batch, |pair| format!("link del churn{pair}"));
        if batch == BATCHES / 2 {
            warm = resident_kilobytes(&agent);
        }
    }
    wait_for("nothing of them is left", SETTLED, || (descriptors(&agent) == at_start).then_some(()));
    let grown = resident_kilobytes(&agent).saturating_sub(warm);
    assert!(grown < 4_096, "{grown} kB more after the second half");

    let last = Flood { packets: 100_000, flows: 1_000, mark: 2 };
    last.send(&Injector::open(left, INTERFACE));
    let outcome = agent.stop();
    outcome.assert_exact();
    last.assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
    for (name, sent) in &measured {
        assert_eq!(*sent, flood.packets);
        flood.assert_equals(&Flow::merge(outcome.flows(name, "egress")));
    }
    // Of the oldest the ledger keeps the sum: what it says was seen is what was sent, in all.
    let ledgers: Vec<_> = outcome.ledgers.iter().filter(|one| one.direction == "egress").collect();
    let seen: Count = ledgers.iter().map(|one| one.seen).sum();
    assert_eq!(seen.packets, u64::from(BATCHES) * flood.packets + last.packets);
    assert!(ledgers.len() < BATCHES as usize * BATCH as usize, "{} ledgers", ledgers.len());
}
