//! Every kind of packet against the record that it must become. All cases are sent in one
//! run, each with addresses of its own, and the records must be the expected ones and no
//! others, at the sender's egress and at the receiver's ingress. The kernel has taken the
//! outer VLAN tag out of the frame by the time it reaches ingress, so that each tagged case
//! is tried in both forms.

mod cases;

use cases::{Case, all};
use weir_tests::agent::{Agent, Outcome};
use weir_tests::inject::Injector;
use weir_tests::output::{Count, Flow};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::witness::{Capture, link};

fn sent(cases: &[Case]) -> Count {
    let frames = cases.iter().flat_map(|case| &case.frames);
    frames.map(|frame| Count { packets: 1, bytes: frame.len() as u64 }).sum()
}

/// Names every case that differs, with what was found in its place.
fn assert_records(cases: &[Case], outcome: &Outcome, (netns, direction): (&str, &str)) {
    let mut found = Flow::merge(outcome.flows(INTERFACE, direction));
    let mut complaints = Vec::new();
    for case in cases {
        for expected in &case.expected {
            let expected = Flow {
                netns: netns.into(),
                interface: INTERFACE.into(),
                interface_kind: "veth".into(),
                sampling_rate: 1,
                direction: direction.into(),
                ..expected.clone()
            };
            match found.iter().position(|flow| *flow == expected) {
                Some(place) => drop(found.swap_remove(place)),
                None => complaints.push((case.name, expected)),
            }
        }
    }
    let complaints: Vec<String> = complaints
        .into_iter()
        .map(|(name, expected)| {
            let near: Vec<_> =
                found.iter().filter(|flow| flow.source_address == expected.source_address).collect();
            format!("{name} ({direction}): expected\n  {expected:?}\nfound\n  {near:?}\n")
        })
        .collect();
    assert!(complaints.is_empty(), "{} differ:\n{}", complaints.len(), complaints.concat());
    assert!(found.is_empty(), "records that no case expects ({direction}): {found:#?}");
}

fn every_case(hook: &str) {
    let cases = all();
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let capture = Capture::start(&pair.right, INTERFACE);
    let args = ["-i", INTERFACE, "-o", "json", "--hook", hook];
    let agents = [&pair.left, &pair.right].map(|end| Agent::start(end, &args));
    for frame in cases.iter().flat_map(|case| &case.frames) {
        injector.send(frame);
    }
    assert_eq!(capture.stop(), sent(&cases).packets);
    let [left, right] = agents.map(Agent::stop);
    for (outcome, end, direction) in [(left, &pair.left, "egress"), (right, &pair.right, "ingress")] {
        assert_records(&cases, &outcome, (end.name(), direction));
        outcome.assert_exact();
        assert_eq!(outcome.ledger(INTERFACE, direction).seen, sent(&cases));
    }
}

#[test]
fn root_every_case_on_tcx() {
    every_case("tcx");
}

#[test]
fn root_every_case_on_clsact() {
    every_case("clsact");
}

/// The kernel takes every one of these frames, and an interface counts each: what the other
/// tests expect can be seen at all.
#[test]
fn root_the_wire_carries_every_case() {
    let cases = all();
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let capture = Capture::start(&pair.right, INTERFACE);
    for frame in cases.iter().flat_map(|case| &case.frames) {
        injector.send(frame);
    }
    assert_eq!(capture.stop(), sent(&cases).packets);
    assert_eq!(link(&pair.left, INTERFACE).tx, sent(&cases));
    assert_eq!(link(&pair.left, INTERFACE).rx, Count::default(), "nobody answers");
}

#[test]
fn the_table_is_sound() {
    let cases = all();
    for case in &cases {
        let frames: Count =
            case.frames.iter().map(|frame| Count { packets: 1, bytes: frame.len() as u64 }).sum();
        assert_eq!(
            case.expected.iter().map(Flow::count).sum::<Count>(),
            frames,
            "{}: every frame is in a record",
            case.name
        );
    }
    let all: Vec<&Flow> = cases.iter().flat_map(|case| &case.expected).collect();
    assert_eq!(Flow::merge(all.iter().copied()).len(), all.len(), "two cases expect the same flow");
}
