//! Rules: what is denied and sampled out, beside what was sent, and what changes while packets pass.

use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::bridge::{Bridged, GUEST, LEFT_PORT, RIGHT_PORT};
use weir_tests::flood::Flood;
use weir_tests::frames::{Ipv4, UDP, udp};
use weir_tests::inject::Injector;
use weir_tests::output::{Count, Flow};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::settled;

const JSON: [&str; 6] = ["-i", INTERFACE, "-o", "json", "--interval", "100ms"];

fn run_with(rules: &[&str], floods: &[Flood]) -> Outcome {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = Agent::start(&pair.left, &[&JSON, rules].concat());
    for flood in floods {
        flood.send(&injector);
    }
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    outcome.assert_exact();
    outcome
}

fn total(flows: &[Flow], flood: &Flood) -> Count {
    flows.iter().filter(|flow| flood.owns(flow)).map(Flow::count).sum()
}

/// A flood whose sum is what `packets` says, over flows of `size` packets.
fn of_size(size: u64, mark: u8) -> Flood {
    Flood { packets: 200_000, flows: 200_000 / size, mark }
}

#[test]
fn root_the_first_rule_that_fits_decides() {
    let floods = [1, 2, 3].map(|mark| Flood { packets: 3_000, flows: 10, mark });
    let rules = [
        "--rule",
        "allow source_address == 10.88.1.1 and source_port == 1024",
        "--rule",
        "deny source_address in 10.88.1.0/24, 10.88.2.0/24",
    ];
    let outcome = run_with(&rules, &floods);
    let ledger = outcome.ledger(INTERFACE, "egress");
    assert_eq!(total(&outcome.flows, &floods[0]).packets, 300, "one flow of ten");
    assert_eq!(total(&outcome.flows, &floods[1]).packets, 0);
    floods[2].assert_equals(&Flow::merge(outcome.flows(INTERFACE, "egress")));
    assert_eq!(ledger.seen.packets, 9_000);
    assert_eq!(ledger.filtered, Count { packets: 5_700, bytes: 5_700 * Flood::FRAME_LENGTH });
    assert_eq!(ledger.sampled_out, Count::default());
}

/// Estimates are packets × sampling rate: their mean must be the truth for flows of every size.
#[test]
fn root_a_million_packets_sampled_one_in_ten() {
    const RATE: u64 = 10;
    let floods: Vec<_> =
        [1, 10, 100, 1_000, 10_000].into_iter().zip(1..).map(|(size, mark)| of_size(size, mark)).collect();
    let outcome = run_with(&["--rule", "allow 1/10"], &floods);
    for flow in &outcome.flows {
        assert_eq!(u64::from(flow.sampling_rate), RATE, "{flow:?}");
    }
    // A packet is taken with probability p = 1/N: the estimate's variance is n(N-1). Five standard deviations.
    let allowed = |packets: u64| 5.0 * ((packets * (RATE - 1)) as f64).sqrt();
    for flood in &floods {
        let estimate = total(&outcome.flows, flood).packets * RATE;
        let error = estimate.abs_diff(flood.packets) as f64;
        assert!(
            error <= allowed(flood.packets),
            "flows of {}: {estimate} of {}",
            flood.packets / flood.flows,
            flood.packets
        );
    }
    let whales = floods.last().expect("there are five");
    for flow in Flow::merge(&outcome.flows).iter().filter(|flow| whales.owns(flow)) {
        let error = (flow.packets * RATE).abs_diff(10_000) as f64;
        assert!(error <= allowed(10_000), "{flow:?}");
    }
    let ledger = outcome.ledger(INTERFACE, "egress");
    let sent: u64 = floods.iter().map(|flood| flood.packets).sum();
    assert_eq!(ledger.seen.packets, sent);
    assert_eq!(ledger.sampled_out.packets, sent - ledger.exported.packets);
    assert_eq!(ledger.filtered, Count::default());
    let error = (ledger.exported.packets * RATE).abs_diff(sent) as f64;
    assert!(error <= allowed(sent), "{} of {sent}", ledger.exported.packets * RATE);
}

/// The filter looks at whole records; what it leaves out is in the books, whoever left it out.
#[test]
fn root_a_filter_selects_records() {
    let floods = [Flood { packets: 1_000, flows: 10, mark: 1 }, Flood { packets: 1_010, flows: 10, mark: 2 }];
    let filter = ["--filter", "source_address in 10.88.0.0/16 and packets > 100 and not source_port == 1025"];
    let outcome = run_with(&filter, &floods);
    assert_eq!(total(&outcome.flows, &floods[0]).packets, 0, "flows of 100 packets");
    assert_eq!(total(&outcome.flows, &floods[1]).packets, 909, "nine flows of 101 packets");
    let ledger = outcome.ledger(INTERFACE, "egress");
    assert_eq!((ledger.seen.packets, ledger.filtered.packets), (2_010, 1_101));
}

#[test]
fn root_two_hundred_and_fifty_six_rules_fit() {
    let rules: Vec<_> = (0..256u32)
        .flat_map(|number| {
            ["--rule".into(), format!("deny source_address in 10.88.{}.{}/30", number % 8, number * 4 % 256)]
        })
        .collect();
    let rules: Vec<_> = rules.iter().map(String::as_str).collect();
    let floods = [Flood { packets: 1_000, flows: 10, mark: 0 }, Flood { packets: 1_000, flows: 10, mark: 9 }];
    let outcome = run_with(&rules, &floods);
    let ledger = outcome.ledger(INTERFACE, "egress");
    assert_eq!((ledger.seen.packets, ledger.filtered.packets), (2_000, 1_000));
}

/// Rules change between two packets: each packet of the flood met the old rules or the new ones.
#[test]
fn root_rules_change_while_packets_pass() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let directory = tempfile();
    let (file, socket) = (format!("{directory}/weir.yaml"), format!("{directory}/socket"));
    let write = |text: &str| std::fs::write(&file, text).expect("the file can be written");
    write("rule: []\n");
    let agent = Agent::start(&pair.left, &[&JSON[..], &["--config", &file, "--socket", &socket]].concat());
    let flood = Flood { packets: 1_000_000, flows: 1_000, mark: 1 };
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| flood.send(&injector));
        let mut turn = 0;
        while !sender.is_finished() {
            write(
                [
                    "rule: ['deny source_address in 10.88.1.0/24']\n",
                    "rule: ['allow 1/4 protocol == udp']\n",
                    "rule: []\n",
                ][turn % 3],
            );
            let (status, _, complaints) = Agent::run(&pair.left, &[], &["reload", "--socket", &socket]);
            assert!(status.success(), "{complaints:?}");
            turn += 1;
            std::thread::sleep(Duration::from_millis(30));
        }
        assert!(turn >= 3, "the rules changed {turn} times");
    });
    let wire = settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    outcome.assert_exact();
    let ledger = outcome.ledger(INTERFACE, "egress");
    assert_eq!(ledger.seen.packets, flood.packets);
    assert_eq!(ledger.seen.packets, wire.tx.packets + wire.tx_dropped);
    assert!(
        ledger.filtered.packets > 0 && ledger.sampled_out.packets > 0 && ledger.exported.packets > 0,
        "{ledger:?}"
    );
    assert_eq!(ledger.exported + ledger.filtered + ledger.sampled_out, ledger.seen);
    let _ = std::fs::remove_dir_all(directory);
}

fn tempfile() -> String {
    let directory = std::env::temp_dir().join(format!("weir-rules-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    directory.display().to_string()
}

/// Across a bridge: a packet that is taken at one port is taken at the other, so that what is
/// joined is the same packets, and the estimate is not that of two draws.
#[test]
fn root_sampled_packets_are_the_same_at_every_point() {
    const RATE: u64 = 10;
    const PACKETS: u64 = 200_000;
    let bridged = Bridged::new();
    let rules = ["--rule", "allow 1/10", "--interval", "100ms", "--memory-budget", "128MiB"];
    let agent = Agent::start_joined(&bridged.host, &rules);
    let injector = Injector::open(&bridged.left, GUEST);
    let template = Ipv4::default().frame(UDP, &udp(0, 53, &[0; 18]));
    // Flows of one packet and of a thousand; each packet has a payload of its own, as packets have.
    for (flows, destination) in [(50_000, 53u16), (200, 54)] {
        injector.flood(&template, PACKETS, |number, frame| {
            let source = 1_024 + (number % flows) as u16;
            frame[34..36].copy_from_slice(&source.to_be_bytes());
            frame[36..38].copy_from_slice(&destination.to_be_bytes());
            frame[42..50].copy_from_slice(&number.to_be_bytes());
        });
    }
    settled(&bridged.left, GUEST);
    let outcome = agent.stop();
    outcome.assert_observed();
    for port in [53, 54] {
        let counted = outcome.conversations.iter().filter(|one| one.destination.1 == Some(port));
        let estimate: u64 = counted.clone().map(|one| one.packets() * u64::from(one.sampling_rate)).sum();
        let allowed = 5.0 * ((PACKETS * (RATE - 1)) as f64).sqrt();
        assert!(estimate.abs_diff(PACKETS) as f64 <= allowed, "{estimate} of {PACKETS}");
        for one in counted {
            let seen = [(LEFT_PORT, "ingress"), (RIGHT_PORT, "egress")].map(|(interface, direction)| {
                one.observed(interface, direction, false).map(|seen| seen.count)
            });
            assert_eq!(seen, [Some(one.count); 2], "{one:?}");
        }
    }
}

/// Where the rules take all packets is where they are counted.
#[test]
fn root_points_that_are_sampled_differently_are_one_conversation() {
    let bridged = Bridged::new();
    let rule = format!("allow 1/10 interface == {LEFT_PORT}");
    let agent = Agent::start_joined(&bridged.host, &["--rule", &rule]);
    let flood = Flood { packets: 10_000, flows: 10, mark: 1 };
    flood.send(&Injector::open(&bridged.left, GUEST));
    let outcome = agent.stop();
    outcome.assert_observed();
    assert_eq!(outcome.conversations.iter().map(|one| one.packets()).sum::<u64>(), flood.packets);
    assert!(outcome.conversations.iter().all(|one| one.sampling_rate == 1));
}
