//! Random filters, keys and records, for property tests: of the language here, and of everything
//! else that has to decide as it does.
//!
//! Values come from small pools, so that filters and records have something to do with each other.

use crate::filter::Filter;
use crate::language::{fields, words};
use crate::normal::{Dimension, PointTest};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use weir_record::{
    Addresses, Direction, Field, FlowEndReason, FlowKey, FlowRecord, Interface, InterfaceKind, Kind,
    protocol_text,
};

const V4: [&str; 6] = ["10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.0.1", "0.0.0.0", "255.255.255.255"];
const V6: [&str; 5] = ["::1", "fd00::1", "fd00::2", "fe80::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];
const NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "10.0.0.0/30",
    "0.0.0.0/0",
    "128.0.0.0/1",
    "10.0.0.1-10.1.0.0",
    "fd00::/8",
    "::/0",
    "fd00::1-fe80::1",
];
const NUMBERS: [u16; 14] = [0, 1, 6, 8, 17, 22, 53, 58, 80, 128, 443, 1024, 0x0806, 0xffff];
const NAMES: [&str; 4] = ["eth0", "eth1", "veth3", "lo"];
const NAMESPACES: [&str; 2] = ["blue", "4026531840"];
const GLOBS: [&str; 4] = ["eth*", "?eth[0-3]", "*", "lo*"];

fn address_v4() -> impl Strategy<Value = Ipv4Addr> {
    select(&V4[..]).prop_map(|text| text.parse().expect("an address"))
}

fn address_v6() -> impl Strategy<Value = Ipv6Addr> {
    select(&V6[..]).prop_map(|text| text.parse().expect("an address"))
}

/// Interfaces.
pub fn interfaces() -> impl Strategy<Value = Interface> {
    (select(&NAMES[..]), 1..4u32).prop_map(|(name, index)| interface(name, index))
}

fn interface(name: &str, index: u32) -> Interface {
    let (kind, own_netns) =
        if name == "lo" { (InterfaceKind::Loopback, true) } else { (InterfaceKind::Veth, false) };
    Interface {
        name: name.into(),
        index,
        netns: NAMESPACES[index as usize % NAMESPACES.len()].into(),
        own_netns,
        kind,
    }
}

/// Directions.
pub fn directions() -> impl Strategy<Value = Direction> {
    select(&[Direction::Ingress, Direction::Egress][..])
}

/// Keys of all shapes; an IP key has types and codes in one byte where it is ICMP.
pub fn keys() -> impl Strategy<Value = FlowKey> {
    let vlan = || prop::option::of(select(&[0u16, 1, 22, 4095][..]));
    let addresses = prop_oneof![
        (address_v4(), address_v4()).prop_map(|pair| Addresses::V4(pair.0, pair.1)),
        (address_v6(), address_v6()).prop_map(|pair| Addresses::V6(pair.0, pair.1)),
    ];
    let protocol = select(&[1u8, 6, 6, 17, 17, 47, 58, 200][..]);
    let number = || select(&NUMBERS[..]);
    let ip = (vlan(), addresses, protocol, prop::option::weighted(0.8, (number(), number())));
    let ip = ip.prop_map(|(vlan, addresses, protocol, ports)| {
        let is_icmp = matches!(protocol, 1 | 58);
        let ports = ports.map(|(one, other)| if is_icmp { (one & 0xff, other & 0xff) } else { (one, other) });
        FlowKey::Ip { vlan, addresses, protocol, ports }
    });
    let ethertype = select(&[4u16, 0x0800, 0x0806, 0x86dd, 0x88cc][..]);
    let other = (vlan(), ethertype).prop_map(|(vlan, ethertype)| FlowKey::Other { vlan, ethertype });
    prop_oneof![6 => ip, 1 => other]
}

/// A record, and what it was made of.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Where it was seen.
    pub interface: Interface,
    /// Which way it went.
    pub direction: Direction,
    /// Its flow.
    pub key: FlowKey,
    /// The record.
    pub record: FlowRecord,
}

/// Records: any key at any observation point, with any counters.
pub fn samples() -> impl Strategy<Value = Sample> {
    let count = || prop_oneof![0..3u64, Just(1000), Just(10 << 20), any::<u64>()];
    let reason = select(
        &[
            FlowEndReason::IdleTimeout,
            FlowEndReason::ActiveTimeout,
            FlowEndReason::EndOfFlowDetected,
            FlowEndReason::ForcedEnd,
            FlowEndReason::LackOfResources,
        ][..],
    );
    let place = (interfaces(), directions(), keys());
    let counted = (count(), count(), 0..0x200u16, any::<bool>(), reason);
    let marks = (0..64u8, any::<u64>(), 0..16u8, any::<(u8, u8)>());
    (place, counted, marks, count(), count()).prop_map(
        |((interface, direction, key), counted, marks, start, end)| {
            let mut record = record(interface.clone(), direction, key);
            (record.packets, record.bytes, record.tcp_flags, record.fragmented, record.end_reason) = counted;
            (record.dscp, record.dscp_seen, record.ecn_seen, record.ttl) = marks;
            (record.start, record.end) = (start, end);
            Sample { interface, direction, key, record }
        },
    )
}

/// The records alone.
pub fn records() -> impl Strategy<Value = FlowRecord> {
    samples().prop_map(|sample| sample.record)
}

/// A record of one empty packet of this flow at this observation point.
pub fn record(interface: Interface, direction: Direction, key: FlowKey) -> FlowRecord {
    FlowRecord { packets: 1, ..FlowRecord::blank(Arc::new(interface), direction, key) }
}

/// Texts of filters over all fields.
pub fn texts() -> impl Strategy<Value = String> {
    texts_of(|_| true)
}

/// Filters over all fields.
pub fn filters() -> impl Strategy<Value = Filter> {
    texts().prop_map(parsed)
}

/// Filters that the kernel can decide for each packet.
pub fn kernel_filters() -> impl Strategy<Value = Filter> {
    texts_of(|field| Dimension::of(field).is_some() || PointTest::is_for(field)).prop_map(parsed)
}

/// Filters of what a key says alone.
pub fn key_filters() -> impl Strategy<Value = Filter> {
    texts_of(|field| Dimension::of(field).is_some()).prop_map(parsed)
}

fn parsed(text: String) -> Filter {
    text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

/// Texts of filters over those of the fields that are asked for.
pub fn texts_of(wanted: fn(&Field) -> bool) -> impl Strategy<Value = String> {
    let mut tests: Vec<BoxedStrategy<String>> = fields().filter(|field| wanted(field)).map(test).collect();
    let either = [
        ("port", "source_port"),
        ("address", "source_address"),
        ("host", "source_address"),
        ("process", "source_process"),
        ("pid", "source_pid"),
        ("name", "source_name"),
    ];
    for (name, of) in either {
        let field = fields().find(|field| field.name == of).filter(|field| wanted(field));
        tests.extend(field.map(|field| named_test(name, field)));
    }
    prop::strategy::Union::new(tests).prop_recursive(4, 24, 4, |inner| {
        let group = |word: &'static str, inner: BoxedStrategy<String>| {
            prop::collection::vec(inner, 1..4).prop_map(move |parts| format!("({})", parts.join(word)))
        };
        prop_oneof![
            group(" and ", inner.clone().boxed()),
            group(" or ", inner.clone().boxed()),
            inner.clone().prop_map(|text| format!("not {text}")),
            inner.prop_map(|text| format!("!({text})")),
        ]
    })
}

/// Tests of one field.
fn test(field: &'static Field) -> BoxedStrategy<String> {
    named_test(field.name, field)
}

fn named_test(name: &'static str, field: &'static Field) -> BoxedStrategy<String> {
    let with = move |operators: &'static [&'static str], values: BoxedStrategy<String>| {
        let one =
            (select(operators), values.clone()).prop_map(move |(op, value)| format!("{name} {op} {value}"));
        let list = prop::collection::vec(values, 1..4)
            .prop_map(move |list| format!("{name} in ({})", list.join(", ")));
        prop_oneof![2 => one, 1 => list].boxed()
    };
    const EQUAL: &[&str] = &["==", "!=", "in"];
    const ORDER: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
    let number = |most: u16| select(NUMBERS.into_iter().filter(|one| *one <= most).collect::<Vec<_>>());
    let ranges = |most: u16| (number(most), number(most)).prop_map(|(one, other)| span(one, other)).boxed();
    let numbers = |most: u16| {
        let single = with(ORDER, number(most).prop_map(|number| number.to_string()).boxed());
        prop_oneof![single, with(EQUAL, ranges(most))].boxed()
    };
    let values = match (field.kind, field.name) {
        (_, "protocol") => with(EQUAL, protocols()),
        (Kind::Text, _) if words(field.name).is_some() => {
            let words = words(field.name).into_iter().flatten().chain(["*r*"]).collect::<Vec<_>>();
            with(EQUAL, select(words).prop_map(String::from).boxed())
        }
        (_, name) if name.ends_with("tcp_flags") => {
            let flags = select(&["syn", "ack", "syn,ack", "0x12", "0", "fin,rst"][..]);
            (select(&["has", "in", "==", "!="][..]), flags)
                .prop_map(move |(op, flags)| format!("{name} {op} {flags}"))
                .boxed()
        }
        (_, "vlan") => numbers(4095),
        (_, "dscp") => numbers(63),
        (_, "icmp_type" | "icmp_code" | "min_ttl" | "max_ttl") => numbers(255),
        (Kind::Number, _) => numbers(u16::MAX),
        (Kind::Address, _) => {
            with(EQUAL, select([&V4[..], &V6, &NETWORKS].concat()).prop_map(String::from).boxed())
        }
        (Kind::Text, _) => with(
            EQUAL,
            select([&NAMES[..], &NAMESPACES, &GLOBS, &["'a \"b\\\\'"]].concat())
                .prop_map(String::from)
                .boxed(),
        ),
        (Kind::Time, _) => with(
            ORDER,
            select(&["1970-01-01T00:00:00Z", "2026-01-31T12:00:00.5Z"][..]).prop_map(String::from).boxed(),
        ),
        (Kind::Flag, _) => select(&["", " == true", " == false", " != true"][..])
            .prop_map(move |rest| format!("{name}{rest}"))
            .boxed(),
        (Kind::Bits | Kind::Observations, _) => {
            let bits = select(&["0", "1,2", "46"][..]);
            (select(&["has", "in", "==", "!="][..]), bits)
                .prop_map(move |(op, bits)| format!("{name} {op} {bits}"))
                .boxed()
        }
    };
    let null = select(&["== null", "!= null"][..]).prop_map(move |rest| format!("{name} {rest}"));
    prop_oneof![8 => values, 1 => null].boxed()
}

fn span(one: u16, other: u16) -> String {
    format!("{}-{}", one.min(other), one.max(other))
}

fn protocols() -> BoxedStrategy<String> {
    let number = select(&[1u8, 6, 17, 47, 58, 200][..]);
    let name = number.prop_map(|number| protocol_text(number).to_owned());
    prop_oneof![4 => name, 1 => Just("icmp*".to_owned()), 1 => Just("2-60".to_owned())].boxed()
}
