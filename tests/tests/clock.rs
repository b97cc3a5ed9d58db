//! `--clock fine`: when a flow began and ended, held against the times that tcpdump has for the same packets.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::frames::{Ipv4, UDP, udp};
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::Times;

const FLOWS: u16 = 40;
const FIRST_PORT: u16 = 50_000;
/// Shorter than the shortest tick, 1 ms: times that are no better than that do not pass.
const CLOSE: u64 = 500_000;
const DAY: u64 = 86_400_000_000_000;

/// Nanoseconds since midnight of `12:34:56.789`, wherever in a text that stands.
fn since_midnight(text: &str) -> u64 {
    let colon = text.find(':').unwrap_or_else(|| panic!("no time in {text}"));
    let time = &text[colon - 2..];
    let number = |range| time.get(range).and_then(|digits: &str| digits.parse::<u64>().ok());
    let (Some(hours), Some(minutes), Some(seconds)) = (number(0..2), number(3..5), number(6..8)) else {
        panic!("no time in {text}")
    };
    let fraction: String =
        time[8..].strip_prefix('.').unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
    let nanos: u64 = format!("{fraction:0<9}").parse().expect("nine digits");
    ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos
}

/// However midnight falls.
fn apart(a: u64, b: u64) -> u64 {
    a.abs_diff(b).min(DAY - a.abs_diff(b))
}

#[test]
fn a_time_is_found_in_a_text() {
    let noon = 43_200_000_000_000;
    assert_eq!(since_midnight("2026-01-31T12:00:00Z"), noon);
    assert_eq!(since_midnight("12:00:01.000000002 IP 10.0.0.1.1 > 10.0.0.2.2: UDP"), noon + 1_000_000_002);
    assert_eq!(since_midnight("2026-01-31T12:00:00.5Z"), noon + 500_000_000);
    assert_eq!(apart(1, DAY - 1), 2);
}

/// One packet of each flow, at moments that have nothing to do with a tick; and again.
#[test]
fn root_the_fine_clock_tells_when_a_flow_began_and_ended() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let witness = Times::start(&pair.left, INTERFACE);
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--clock", "fine"];
    let agent = Agent::start(&pair.left, &args);
    for _ in 0..2 {
        for number in 0..FLOWS {
            injector.send(&Ipv4::default().frame(UDP, &udp(FIRST_PORT + number, 9, &[0; 18])));
            sleep(Duration::from_micros(3_300));
        }
    }
    let mut seen: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for line in witness.stop() {
        let port = line.split(" > ").next().and_then(|from| from.rsplit('.').next()?.parse().ok());
        seen.entry(port.unwrap_or_else(|| panic!("{line}"))).or_default().push(since_midnight(&line));
    }
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(outcome.flows.len(), usize::from(FLOWS));
    let mut distances = Vec::new();
    for flow in &outcome.flows {
        let times = &seen[&flow.source_port.expect("a port")];
        let [first, last] = times[..] else { panic!("tcpdump saw {times:?}, and we {flow:?}") };
        distances.push(apart(since_midnight(&flow.start), first));
        distances.push(apart(since_midnight(&flow.end), last));
    }
    distances.sort_unstable();
    // Between our hook and tcpdump's a packet may be interrupted: one in ten of them.
    let most = distances[distances.len() * 9 / 10];
    assert!(most < CLOSE, "nanoseconds apart: {distances:?}");
}
