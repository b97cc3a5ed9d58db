//! All evaluators agree: the tree with closures written here, rows with the tree.

use proptest::prelude::*;
use std::fmt;
use std::sync::Arc;
use weir_filter::Filter;
use weir_filter::generate::{self, Sample};
use weir_filter::normal::{Doubt, NotKernel, Row, answering_icmp_type};
use weir_record::{Addresses, Direction, FIELDS, FlowKey, Value};

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

fn matches(row: &Row, sample: &Sample) -> bool {
    row.matches(&sample.key, &sample.interface, sample.direction)
}

fn number(sample: &Sample, name: &str) -> u64 {
    match FIELDS.iter().find(|field| field.name == name).map(|field| (field.read)(&sample.record)) {
        Some(Value::Number(number)) => number,
        Some(Value::Flag(flag)) => flag.into(),
        other => panic!("{name} is {other:?}"),
    }
}

/// A test's text and what it means, said without the language.
#[derive(Clone)]
struct Witnessed {
    text: String,
    truth: Arc<dyn Fn(&Sample) -> bool>,
}

impl fmt::Debug for Witnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn of(text: String, truth: impl Fn(&Sample) -> bool + 'static) -> Witnessed {
    Witnessed { text, truth: Arc::new(truth) }
}

fn witnessed() -> impl Strategy<Value = Witnessed> {
    let port = || prop::sample::select(&[0u16, 22, 53, 80, 443, 1024, 65535][..]);
    prop_oneof![
        port()
            .prop_map(|n| of(format!("source_port < {n}"), move |r| r.key.ports().is_some_and(|p| p.0 < n))),
        port().prop_map(|n| of(format!("port == {n}"), move |r| r
            .key
            .ports()
            .is_some_and(|p| p.0 == n || p.1 == n))),
        port().prop_map(|n| of(format!("port != {n}"), move |r| !r
            .key
            .ports()
            .is_some_and(|p| p.0 == n || p.1 == n))),
        (port(), port()).prop_map(|(a, b)| of(format!("destination_port in {a},{b}"), move |r| {
            r.key.ports().is_some_and(|p| p.1 == a || p.1 == b)
        })),
        Just(of("address == 10.0.0.0/8".into(), |r| match r.key {
            FlowKey::Ip { addresses: Addresses::V4(a, b), .. } => a.octets()[0] == 10 || b.octets()[0] == 10,
            _ => false,
        })),
        Just(of("protocol in tcp,udp".into(), |r| matches!(r.key.protocol(), Some(6 | 17)))),
        Just(of("icmp_type == null".into(), |r| r.key.icmp().is_none())),
        Just(of("vlan > 1".into(), |r| r.key.vlan().is_some_and(|id| id > 1))),
        Just(of("interface == *1".into(), |r| r.interface.name.ends_with('1'))),
        Just(of("direction == egress".into(), |r| r.direction == Direction::Egress)),
        Just(of("bytes > 10MiB".into(), |r| number(r, "bytes") > 10 * 1024 * 1024)),
        Just(of("fragmented".into(), |r| number(r, "fragmented") == 1)),
        Just(of("tcp_flags has syn,ack".into(), |r| r.key.is_tcp() && number(r, "tcp_flags") & 0x12 == 0x12)),
        Just(of("tcp_flags in fin,rst".into(), |r| r.key.is_tcp() && number(r, "tcp_flags") & 0x05 != 0)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// `a and not b or c and …`, without parentheses, read with the usual precedence.
    #[test]
    fn the_tree_means_what_closures_say(
        sentence in prop::collection::vec(prop::collection::vec((0..3usize, witnessed()), 1..4), 1..4),
        symbols in any::<bool>(),
        sample in generate::samples(),
    ) {
        let [and, or, not] = if symbols { [" && ", " || ", "!"] } else { [" and ", " OR ", "not "] };
        let clauses = sentence.iter().map(|clause| {
            let tests = clause.iter().map(|(nots, test)| format!("{}{}", not.repeat(*nots), test.text));
            tests.collect::<Vec<_>>().join(and)
        });
        let text = clauses.collect::<Vec<_>>().join(or);
        let truth = sentence.iter().any(|clause| {
            clause.iter().all(|(nots, test)| (test.truth)(&sample) != (nots % 2 == 1))
        });
        prop_assert_eq!(parse(&text).matches(&sample.record), truth, "{}", text);
    }

    #[test]
    fn the_laws_of_logic_hold(a in generate::texts(), b in generate::texts(), record in generate::records()) {
        let says = |text: String| parse(&text).matches(&record);
        let (left, right) = (says(a.clone()), says(b.clone()));
        prop_assert_eq!(says(format!("not ({a} or {b})")), says(format!("not ({a}) and not ({b})")));
        prop_assert_eq!(says(format!("!({a} && {b})")), says(format!("!({a}) || !({b})")));
        prop_assert_eq!(says(format!("({a}) and ({b})")), left && right);
        prop_assert_eq!(says(format!("({a}) or ({b})")), left || right);
        prop_assert_eq!(parse(&a).negated().matches(&record), !left);
        prop_assert_eq!(parse(&a).negated().negated(), parse(&a));
    }

    #[test]
    fn rows_decide_as_the_tree(filter in generate::kernel_filters(), samples in prop::collection::vec(generate::samples(), 20)) {
        let rows = match filter.rows(1000, Doubt::Refuse) {
            Ok(rows) => rows,
            Err(NotKernel::Rows { .. }) => return Ok(()),
            Err(error) => panic!("{filter}: {error}"),
        };
        for sample in samples {
            let decided = rows.iter().any(|row| matches(row, &sample));
            prop_assert_eq!(decided, filter.matches(&sample.record), "{} {:?} {:?}", filter, rows, sample);
        }
    }

    #[test]
    fn rows_in_doubt_cover_the_tree(filter in generate::filters(), samples in prop::collection::vec(generate::samples(), 20)) {
        let known = |field: &weir_record::Field| !matches!(field.name, "interface" | "vlan");
        let Ok(rows) = filter.rows_knowing(1000, Doubt::Pass, known) else { return Ok(()) };
        prop_assert!(rows.iter().flat_map(|row| &row.points).all(|point| point.field.name != "interface"));
        for sample in samples.iter().filter(|sample| filter.matches(&sample.record)) {
            prop_assert!(rows.iter().any(|row| matches(row, sample)), "{filter} {rows:?}");
        }
    }

    #[test]
    fn reversed_rows_match_the_answers(filter in generate::kernel_filters(), samples in prop::collection::vec(generate::samples(), 20)) {
        let Ok(rows) = filter.rows(1000, Doubt::Refuse) else { return Ok(()) };
        for row in rows {
            let back = row.reversed();
            prop_assert_eq!(&back.reversed(), &row);
            for sample in &samples {
                let mut answer = sample.clone();
                (answer.key, answer.direction) = (reversed(&sample.key), sample.direction.opposite());
                prop_assert_eq!(matches(&row, sample), matches(&back, &answer), "{:?} {:?}", row, sample);
            }
        }
    }

    #[test]
    fn what_is_said_of_rows_is_so(
        one in generate::kernel_filters(),
        other in generate::kernel_filters(),
        samples in prop::collection::vec(generate::samples(), 50),
    ) {
        let (Ok(rows), Ok(others)) = (one.rows(50, Doubt::Refuse), other.rows(50, Doubt::Refuse)) else { return Ok(()) };
        for (row, other) in rows.iter().flat_map(|row| others.iter().map(move |other| (row, other))) {
            prop_assert!(row.contains(row) && row.overlaps(row) && !row.is_never());
            for sample in &samples {
                let (one, two) = (matches(row, sample), matches(other, sample));
                prop_assert!(!two || !row.contains(other) || one, "{row:?} {other:?}");
                prop_assert!(!(one && two) || row.overlaps(other), "{row:?} {other:?}");
            }
        }
    }
}

/// The key of the answers, said without rows.
fn reversed(key: &FlowKey) -> FlowKey {
    let FlowKey::Ip { vlan, addresses, protocol, ports } = *key else { return *key };
    let addresses = match addresses {
        Addresses::V4(source, destination) => Addresses::V4(destination, source),
        Addresses::V6(source, destination) => Addresses::V6(destination, source),
    };
    let ports = ports.map(|(one, other)| match (protocol, one) {
        (1 | 58, kind) => (u8::try_from(kind).map_or(kind, |kind| answering_icmp_type(kind).into()), other),
        _ => (other, one),
    });
    FlowKey::Ip { vlan, addresses, protocol, ports }
}

#[test]
fn echo_requests_are_answered_by_replies() {
    for (request, reply) in [(8, 0), (13, 14), (128, 129), (135, 136)] {
        assert_eq!((answering_icmp_type(request), answering_icmp_type(reply)), (reply, request));
    }
    assert_eq!(answering_icmp_type(3), 3);
}
