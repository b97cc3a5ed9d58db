//! Texts, what they parse to, and what is said of those that do not.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use weir_filter::generate::{self, record};
use weir_filter::{Expression, Filter, Mistake};
use weir_record::{Addresses, Direction, FlowKey, FlowRecord, Interface, InterfaceKind};

fn interface(name: &str, index: u32) -> Interface {
    let kind = if name == "lo" { InterfaceKind::Loopback } else { InterfaceKind::Veth };
    Interface { name: name.into(), index, netns: "blue".into(), own_netns: false, kind }
}

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

fn mistake(text: &str) -> String {
    Filter::parse(text).expect_err(text).to_string()
}

fn packet(protocol: u8, ports: Option<(u16, u16)>) -> FlowRecord {
    let addresses = Addresses::V4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 7));
    let key = FlowKey::Ip { vlan: None, addresses, protocol, ports };
    record(interface("veth3", 7), Direction::Egress, key)
}

fn arp() -> FlowRecord {
    let key = FlowKey::Other { vlan: Some(12), ethertype: 0x0806 };
    record(interface("eth0", 2), Direction::Ingress, key)
}

/// Texts, and the canonical text of the same filter.
const CANONICAL: &[(&str, &str)] = &[
    (
        "destination_address in 10.0.0.0/8 and not (port in 22,443) and protocol == tcp",
        "destination_address in 10.0.0.0/8 and not port in 22,443 and protocol == tcp",
    ),
    ("port in [22, 443]", "port in 22,443"),
    ("port in (443,22,22)", "port in 22,443"),
    ("port in 1000-2000", "port in 1000-2000"),
    ("port in 1,2,3,4,80", "port in 1-4,80"),
    ("port==22&&!(port!=23||port<5)", "port == 22 and not (port != 23 or port < 5)"),
    ("port != 22", "port != 22"),
    ("NOT port == 22", "port != 22"),
    ("not not fragmented", "fragmented"),
    ("not (not (fragmented))", "fragmented"),
    ("fragmented == true", "fragmented"),
    ("fragmented != TRUE", "not fragmented"),
    ("fragmented == false", "fragmented == false"),
    ("(fragmented and (port == 1 and port == 2))", "fragmented and port == 1 and port == 2"),
    ("fragmented or (port == 1 or port == 2)", "fragmented or port == 1 or port == 2"),
    ("port == 1 and (port == 2 or port == 3)", "port == 1 and (port == 2 or port == 3)"),
    ("port == 1 or port == 2 and port == 3", "port == 1 or port == 2 and port == 3"),
    ("protocol == 6", "protocol == tcp"),
    ("protocol in TCP,17,99", "protocol in tcp,udp,99"),
    ("protocol == icmp*", "protocol in icmp,icmpv6"),
    ("protocol == 40-60", "protocol in 40-60"),
    ("bytes > 10MiB", "bytes > 10MiB"),
    ("bytes >= 10k", "bytes >= 10k"),
    ("bytes >= 10kb", "bytes >= 10k"),
    ("bytes < 10240", "bytes < 10KiB"),
    ("bytes in 1k-2k", "bytes in 1k-2k"),
    ("packets >= 3000000", "packets >= 3M"),
    ("tcp_rtt > 50000us", "tcp_rtt > 50ms"),
    ("tcp_failure == refused", "tcp_failure == refused"),
    ("ethertype == 0x0806", "ethertype == 2054"),
    ("source_port > 65535", "source_port > 65535"),
    ("source_port < 0", "source_port < 0"),
    ("source_port >= 0", "source_port >= 0"),
    ("interface == veth*", "interface == veth*"),
    ("interface in eth*,bond0,'a b'", "interface in \"a b\",bond0,eth*"),
    ("interface == eth[0-3]", "interface == eth[0-3]"),
    ("interface in [eth[0-3],lo]", "interface in lo,eth[0-3]"),
    ("interface == 'veth*'", "interface == \"veth*\""),
    ("interface == \"null\"", "interface == \"null\""),
    ("interface == ''", "interface == \"\""),
    ("direction == in*", "direction == ingress"),
    ("direction in egress,ingress", "direction in egress,ingress"),
    ("address == 10.0.0.0/8", "address in 10.0.0.0/8"),
    ("address in 10.0.0.0/9,10.128.0.0/9", "address in 10.0.0.0/8"),
    ("address in 10.0.0.1-10.0.0.6", "address in 10.0.0.1-10.0.0.6"),
    ("host == fd00:0::1", "host == fd00::1"),
    ("host == web.example", "name == web.example"),
    ("host != db*", "name != db*"),
    ("host in db*,10.0.0.1,fd00::1,'web'", "host in 10.0.0.1,fd00::1 or name in web,db*"),
    ("host == null", "host == null"),
    ("host in ::/0,0.0.0.0/0", "host in 0.0.0.0/0,::/0"),
    ("address == 255.255.255.255/32", "address == 255.255.255.255"),
    ("tcp_flags has syn", "tcp_flags has syn"),
    ("tcp_flags has ack, SYN", "tcp_flags has syn,ack"),
    ("tcp_flags in syn,rst", "tcp_flags in syn,rst"),
    ("tcp_flags == 0x12", "tcp_flags == syn,ack"),
    ("tcp_flags != 0", "tcp_flags != 0x0"),
    ("tcp_flags has 0x800", "tcp_flags has 0x800"),
    ("dscp_seen has 46", "dscp_seen has 46"),
    ("dscp_seen in 0,46", "dscp_seen in 0,46"),
    ("ecn_seen == 3", "ecn_seen == 3"),
    ("vlan == null", "vlan == null"),
    ("not vlan == NULL", "vlan != null"),
    ("start >= 2026-01-31T12:00:00Z", "start >= 2026-01-31T12:00:00Z"),
    ("start >= 2026-01-31T13:00:00+01:00", "start >= 2026-01-31T12:00:00Z"),
    ("end in 2026-01-31T12:00:00Z/2026-01-31T13:00:00Z", "end in 2026-01-31T12:00:00Z/2026-01-31T13:00:00Z"),
    ("flow_end_reason == *timeout", "flow_end_reason in active_timeout,idle_timeout"),
];

#[test]
fn texts_have_one_canonical_form() {
    for (text, canonical) in CANONICAL {
        let filter = parse(text);
        assert_eq!(filter.to_string(), *canonical, "{text}");
        assert_eq!(parse(canonical), filter, "{text}");
    }
}

#[test]
fn comparisons_mean_what_they_say() {
    let https = packet(6, Some((40000, 443)));
    let ping = packet(1, Some((8, 0)));
    for (text, matches) in [
        ("destination_port == 443", [true, false, false]),
        ("port == 443", [true, false, false]),
        ("port != 443", [false, true, true]),
        ("source_port != 443", [true, true, true]),
        ("port > 40000", [false, false, false]),
        ("port >= 40000", [true, false, false]),
        ("port in 400-500", [true, false, false]),
        ("source_port == 8", [false, false, false]),
        ("source_port == null", [false, true, true]),
        ("icmp_type == 8", [false, true, false]),
        ("icmp_code < 1", [false, true, false]),
        ("address == 192.0.2.0/24", [true, true, false]),
        ("host == 10.0.0.1", [true, true, false]),
        ("destination_address == 10.0.0.1", [false, false, false]),
        ("not address in 10.0.0.0/8", [false, false, true]),
        ("protocol == tcp", [true, false, false]),
        ("protocol in 1-5", [false, true, false]),
        ("protocol == null", [false, false, true]),
        ("ethertype == 0x0806", [false, false, true]),
        ("vlan in 10-20", [false, false, true]),
        ("vlan != null", [false, false, true]),
        ("interface == veth*", [true, true, false]),
        ("interface == 'veth*'", [false, false, false]),
        ("interface_index > 2", [true, true, false]),
        ("direction == ingress", [false, false, true]),
        ("tcp_flags == 0", [true, false, false]),
        ("tcp_flags != 0", [false, true, true]),
        ("bytes < 1", [true, true, true]),
        ("fragmented or packets == 1", [true, true, true]),
        ("fragmented", [false, false, false]),
    ] {
        let filter = parse(text);
        assert_eq!([&https, &ping, &arp()].map(|record| filter.matches(record)), matches, "{text}");
    }
}

#[test]
fn bits_are_compared_as_sets() {
    for (text, flags) in [
        ("tcp_flags has syn,ack", [false, true, true]),
        ("tcp_flags in syn,rst", [true, true, true]),
        ("tcp_flags == syn", [true, false, false]),
        ("tcp_flags == 0x12", [false, true, false]),
        ("tcp_flags in fin,ack", [false, true, true]),
        ("not tcp_flags has psh", [true, true, false]),
    ] {
        let filter = parse(text);
        let matches = [0x02, 0x12, 0x1a].map(|flags| {
            let mut record = packet(6, Some((40000, 443)));
            record.tcp_flags = flags;
            filter.matches(&record)
        });
        assert_eq!(matches, flags, "{text}");
    }
    let mut marked = packet(17, None);
    marked.dscp_seen = 1 << 46 | 1;
    for (text, matches) in [
        ("dscp_seen has 46", true),
        ("dscp_seen has 46,0", true),
        ("dscp_seen has 46,1", false),
        ("dscp_seen in 1,46", true),
        ("dscp_seen == 46", false),
        ("dscp_seen == 0,46", true),
    ] {
        assert_eq!(parse(text).matches(&marked), matches, "{text}");
    }
}

#[test]
fn a_network_holds_what_the_standard_library_says() {
    let filter = parse("source_address in 10.1.0.0/17");
    for address in ["10.1.0.0", "10.1.127.255", "10.1.128.0", "10.0.255.255"] {
        let address: Ipv4Addr = address.parse().expect("an address");
        let key =
            FlowKey::Ip { vlan: None, addresses: Addresses::V4(address, address), protocol: 6, ports: None };
        let record = record(interface("lo", 1), Direction::Ingress, key);
        let in_it = u32::from(address) >> 15 == u32::from(Ipv4Addr::new(10, 1, 0, 0)) >> 15;
        assert_eq!(filter.matches(&record), in_it, "{}", IpAddr::V4(address));
    }
}

#[test]
fn mistakes_say_where_and_what_to_write() {
    for (text, told) in [
        (
            "port == 22 and destnation_port == 443",
            "column 16: there is no field 'destnation_port': did you mean 'destination_port'?",
        ),
        ("source_port == http", "column 16: source_port takes a number from 0 to 65535, not 'http'"),
        ("source_port == 65536", "column 16: source_port takes a number from 0 to 65535, not '65536'"),
        (
            "port in 22,2000-1000",
            "column 12: port takes a number from 0 to 65535, not '2000-1000': did you mean '1000-2000'?",
        ),
        ("port in 22,", "column 12: a value is expected here, not the end"),
        ("port = 22", "column 6: '=' is not an operator: write '=='"),
        ("port", "column 5: an operator for port (== != < <= > >= in) is expected here, not the end"),
        ("port 22", "column 6: an operator for port (== != < <= > >= in) is expected here, not '22'"),
        ("port == 22,443", "column 12: '==' takes one value: write 'in' for a list"),
        ("port has 22", "column 6: port takes == != < <= > >= in, not 'has'"),
        ("interface < eth0", "column 11: interface takes == != in, not '<'"),
        ("(port == 22", "column 12: 'and', 'or' or ')' is expected here, not the end"),
        ("port == 22)", "column 11: 'and', 'or' or the end is expected here, not ')'"),
        ("port == 22 port == 23", "column 12: 'and', 'or' or the end is expected here, not 'port'"),
        ("", "column 1: a field is expected here, not the end"),
        ("  ", "column 1: a field is expected here, not the end"),
        ("fragmented and", "column 15: a field is expected here, not the end"),
        ("fragmented & vlan == 1", "column 12: '&' is not an operator: write '&&' or 'and'"),
        ("fragmented == 1", "column 15: fragmented takes true or false, not '1'"),
        (
            "protocol == tpc",
            "column 13: protocol takes a protocol's name or its number, from 0 to 255, not 'tpc': did you mean 'tcp'?",
        ),
        (
            "direction == igress",
            "column 14: direction takes ingress, egress, not 'igress': did you mean 'ingress'?",
        ),
        (
            "address == 10.1.2.3/8",
            "column 12: address takes an IP address, a network such as 10.0.0.0/8 or a range such as 10.0.0.1-10.0.0.9, not '10.1.2.3/8': did you mean '10.0.0.0/8'?",
        ),
        ("vlan in null,3", "column 9: null stands alone: write 'vlan == null' or 'vlan != null'"),
        (
            "tcp_flags has sin",
            "column 15: tcp_flags takes fin, syn, rst, psh, ack, urg, ece, cwr, ae or a number from 0 to 4095, not 'sin': did you mean 'syn'?",
        ),
        ("bytes > 10Mib5", "column 9: bytes takes a number such as 1500, 10k or 10MiB, not '10Mib5'"),
        ("bytes > 99999999T", "column 9: bytes takes a number such as 1500, 10k or 10MiB, not '99999999T'"),
        ("interface == 'eth0", "column 14: this quote is not closed"),
        ("interface == 'ü' and prot == 1", "column 22: there is no field 'prot': did you mean 'port'?"),
        ("start > yesterday", "column 9: start takes a time such as 2026-01-31T12:00:00Z, not 'yesterday'"),
        (
            "interface == a***b",
            "column 14: 'a***b' is not a glob: wildcards are either regular `*` or recursive `**`",
        ),
        ("wibble == 1", "column 1: there is no field 'wibble': docs/fields.md lists them"),
    ] {
        assert_eq!(mistake(text), told, "{text}");
    }
}

#[test]
fn deep_and_long_texts_are_refused_or_read_at_once() {
    let nested = |depth| format!("{}fragmented{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(parse(&nested(64)), parse("fragmented"));
    assert_eq!(mistake(&nested(65)), "column 65: parentheses nest at most 64 deep");
    assert_eq!(mistake(&"(".repeat(500_000)), "column 65: parentheses nest at most 64 deep");
    assert_eq!(parse(&format!("{}fragmented", "not ".repeat(200_001))), parse("not fragmented"));
    let alternating: String =
        (0..64).map(|level| if level % 2 == 0 { "not (port == 1 or " } else { "(vlan == 2 and " }).collect();
    let deep = parse(&format!("{alternating}fragmented{}", ")".repeat(64)));
    assert_eq!(parse(&deep.to_string()), deep);
    assert_eq!(deep.negated().negated(), deep);

    let many: Vec<_> = (0..40_000).map(|number| format!("port == {number}")).collect();
    let long = parse(&many.join(" or "));
    assert!(matches!(long.expression(), Expression::Or(parts) if parts.len() == 40_000));
    assert!(long.matches(&packet(6, Some((39_999, 50_000)))));
    let list: Vec<_> = (0..100_000).map(|number| (number * 37 % 65_536).to_string()).collect();
    assert!(parse(&format!("port in {}", list.join(","))).matches(&packet(6, Some((1, 2)))));
    let Mistake { column, message } = Filter::parse(&"x".repeat(2 << 20)).expect_err("too long");
    assert_eq!((column, message.as_str()), (1, "a filter has at most 1048576 bytes, and this one 2097152"));
    assert!(mistake(&"x".repeat(1 << 20)).len() < 200);
}

/// Text that looks like a filter now and then.
fn garbage() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(
        &[
            "port",
            "address",
            "interface",
            "tcp_flags",
            "bytes",
            "and",
            "or",
            "not",
            "(",
            ")",
            "[",
            "]",
            ",",
            "==",
            "!=",
            "<",
            ">=",
            "in",
            "has",
            "null",
            "22",
            "10.0.0.0/8",
            "10.0.0.1/8",
            "1-0",
            "-",
            "/",
            "::",
            "'",
            "\"",
            "\\",
            "*",
            "é",
            "=",
            "&",
            "!",
            "\u{2003}",
            "\0",
            "10MiB",
            "0x",
            "start",
            "/33",
        ][..],
    );
    let pieces = prop::collection::vec((piece, prop::bool::ANY), 0..12);
    pieces.prop_map(|pieces| {
        pieces.into_iter().map(|(piece, space)| format!("{piece}{}", if space { " " } else { "" })).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_panics_and_mistakes_lie_in_the_text(text in prop_oneof![garbage(), any::<String>()]) {
        match Filter::parse(&text) {
            Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), filter),
            Err(mistake) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&mistake.column), "{}", mistake);
                prop_assert_eq!(mistake.to_string().lines().count(), 1);
            }
        }
    }

    #[test]
    fn a_broken_filter_is_told_where_it_breaks(text in generate::texts()) {
        let broken = format!("{text} and nonsence == 1");
        let mistake = Filter::parse(&broken).expect_err("no such field");
        prop_assert_eq!(mistake.column, text.chars().count() + " and ".len() + 1);
    }

    #[test]
    fn printed_filters_parse_to_the_same_tree(filter in generate::filters()) {
        let text = filter.to_string();
        prop_assert_eq!(&parse(&text), &filter);
        prop_assert_eq!(parse(&text).to_string(), text);
        prop_assert_eq!(&parse(&filter.negated().to_string()), &filter.negated());
    }
}
