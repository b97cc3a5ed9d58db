//! When a flow ends, and why (RFC 5102, flowEndReason).

use std::thread::sleep;
use std::time::Duration;
use weir_tests::TICKS;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::frames::{ACK, FIN, Ipv4, PSH, RST, SYN, TCP, tcp};
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::now;

const SOON: Duration = Duration::from_secs(6);

fn start(pair: &Pair, timeouts: &[&str]) -> Agent {
    let args = [&["-i", INTERFACE, "-o", "json", "--interval", "100ms"], timeouts].concat();
    Agent::start(&pair.left, &args)
}

#[test]
fn root_a_flow_that_falls_silent_ends() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = start(&pair, &["--idle-timeout", "1s"]);
    let flood = Flood { packets: 3, flows: 1, mark: 1 };
    flood.send(&injector);
    let flow = agent.wait_for_flow("an idle flow", SOON, |flow| flood.owns(flow));
    assert_eq!((flow.flow_end_reason.as_str(), flow.packets), ("idle_timeout", 3));
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(outcome.flows.len(), 1, "nothing is exported twice: {:?}", outcome.flows);
}

#[test]
fn root_a_flow_that_lasts_is_reported_now_and_then() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = start(&pair, &["--active-timeout", "1s", "--idle-timeout", "30s"]);
    let flood = Flood { packets: 1, flows: 1, mark: 1 };
    for _ in 0..35 {
        flood.send(&injector);
        sleep(Duration::from_millis(100));
    }
    // One more, so that something is left at the end.
    flood.send(&injector);
    let outcome = agent.stop();
    outcome.assert_exact();
    let (last, before) = outcome.flows.split_last().expect("records");
    assert!((2..=4).contains(&before.len()), "{:?}", outcome.flows);
    assert!(before.iter().all(|flow| flow.flow_end_reason == "active_timeout"), "{before:?}");
    assert_eq!(last.flow_end_reason, "forced_end");
    assert_eq!(outcome.flows.iter().map(|flow| flow.packets).sum::<u64>(), 36);
    assert!(outcome.flows.windows(2).all(|pair| pair[0].end <= pair[1].start), "{:?}", outcome.flows);
}

#[test]
fn root_tcp_says_when_it_ends() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = start(&pair, &[]);
    for (port, last) in [(1_001, FIN | ACK), (1_002, RST)] {
        for flags in [SYN, ACK, PSH | ACK, last] {
            injector.send(&Ipv4::default().frame(TCP, &tcp(port, 80, flags, &[], &[])));
        }
        let flow = agent.wait_for_flow("an ended connection", SOON, |flow| flow.source_port == Some(port));
        assert_eq!((flow.flow_end_reason.as_str(), flow.packets), ("end_of_flow_detected", 4), "{flow:?}");
        assert_eq!(flow.tcp_flags, Some(SYN | ACK | PSH | last));
    }
    // Half a connection goes on.
    injector.send(&Ipv4::default().frame(TCP, &tcp(1_003, 80, SYN, &[], &[])));
    let outcome = agent.stop();
    outcome.assert_exact();
    let reason =
        outcome.flows.iter().find(|flow| flow.source_port == Some(1_003)).map(|flow| &*flow.flow_end_reason);
    assert_eq!(reason, Some("forced_end"));
}

/// The kernel's clock for it ticks every 1 to 10 ms; a wall clock that has been set since the
/// machine came up must not matter.
#[test]
fn root_a_record_tells_the_time_of_day() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = start(&pair, &[]);
    let flood = Flood { packets: 1, flows: 1, mark: 1 };
    let times = [(); 2].map(|()| {
        let before = now();
        sleep(TICKS);
        flood.send(&injector);
        sleep(TICKS);
        (before, now())
    });
    let outcome = agent.stop();
    outcome.assert_exact();
    let [flow] = &outcome.flows[..] else { panic!("{:?}", outcome.flows) };
    let [first, second] = times;
    assert!(first.0 < flow.start && flow.start < first.1, "{first:?}: {flow:?}");
    assert!(second.0 < flow.end && flow.end < second.1, "{second:?}: {flow:?}");
}

/// Without a flag: 15 s of silence end a flow. Half of that does not.
#[test]
fn root_the_idle_timeout_is_not_short_by_default() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = start(&pair, &[]);
    let flood = Flood { packets: 1, flows: 1, mark: 1 };
    flood.send(&injector);
    sleep(Duration::from_secs(7));
    flood.send(&injector);
    let outcome = agent.stop();
    outcome.assert_exact();
    let told: Vec<_> = outcome.flows.iter().map(|flow| (flow.packets, &*flow.flow_end_reason)).collect();
    assert_eq!(told, [(2, "forced_end")]);
}
