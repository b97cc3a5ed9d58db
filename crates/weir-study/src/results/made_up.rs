//! Results that nobody has measured, for tests of what is concluded from them.

use super::{ArmInfo, Config, FORMAT, Machine, Measured, Results, TrafficInfo, bootstrap, median};
use std::collections::BTreeSet;

/// Of a machine with four cores and two senders.
pub fn results(measured: Vec<Measured>) -> Results {
    let names = |of: fn(&Measured) -> &String| measured.iter().map(of).collect::<BTreeSet<_>>();
    let arms = names(|one| &one.arm).into_iter().map(|name| ArmInfo {
        name: name.clone(),
        kind: kind(name).into(),
        ..ArmInfo::default()
    });
    let traffics = names(|one| &one.traffic)
        .into_iter()
        .map(|name| TrafficInfo { name: name.clone(), ..TrafficInfo::default() });
    let config = Config {
        effort: "quick".into(),
        senders: 2,
        link: "veth".into(),
        arms: arms.collect(),
        traffics: traffics.collect(),
        ..Config::default()
    };
    let siblings = (0..4).map(|cpu| vec![cpu]).collect();
    let machine =
        Machine { cpu: "A CPU".into(), cpus: 4, siblings, kernel: "6.12.0".into(), ..Machine::default() };
    Results {
        format: FORMAT,
        weir: "0.1.0".into(),
        started: "2026-01-02T03:04:05Z".into(),
        seconds: 60.0,
        partial: None,
        machine,
        config,
        results: measured,
        load: vec![],
        scaling: vec![],
        flow_scaling: vec![],
        lessons: vec![],
        recommendation: None,
    }
}

fn kind(arm: &str) -> &'static str {
    match arm {
        "none" | "empty" => "baseline",
        "tcpdump" => "program",
        "ringbuf" | "percpu-array" => "postcards",
        _ => "aggregate",
    }
}

/// Five rounds around a ratio, each 1 % from the next, and around what a packet costs its sender. Without loss.
pub fn measured(arm: &str, traffic: &str, ratio: f64, slower_ns: f64) -> Measured {
    let rounds = |middle: f64| [0.98, 0.99, 1.0, 1.01, 1.02].map(|factor| factor * middle).to_vec();
    let (ratio_rounds, slower_ns_rounds) = (rounds(ratio), rounds(slower_ns));
    let interval = bootstrap(&ratio_rounds);
    let slower_ns = median(&slower_ns_rounds).expect("five rounds");
    Measured {
        arm: arm.into(),
        traffic: traffic.into(),
        mpps: 4.0 * ratio,
        ratio,
        ratio_low: interval.low,
        ratio_high: interval.high,
        slower_ns,
        cost_ns: slower_ns,
        accuracy_flows: Some(1.0),
        accuracy_packets: Some(1.0),
        sent: 1000,
        received: 1000,
        mpps_rounds: rounds(4.0 * ratio),
        ratio_rounds,
        slower_ns_rounds,
        ..Measured::default()
    }
}

/// The same arm, but for so many packets that it did not report.
pub fn losing(lost: u64, mut measured: Measured) -> Measured {
    measured.lost = lost;
    measured.lost_by_cause.insert("full".into(), lost);
    measured.accuracy_packets = Some(1.0 - lost as f64 / measured.sent as f64);
    measured
}
