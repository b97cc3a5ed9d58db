//! How few rows filters take, and which take none.

use weir_filter::Filter;
use weir_filter::normal::{Dimension, Doubt, NotKernel, Row, Set};

fn rows(text: &str) -> Vec<Row> {
    refused(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> Result<Vec<Row>, NotKernel> {
    text.parse::<Filter>().unwrap_or_else(|mistake| panic!("{text}: {mistake}")).rows(256, Doubt::Refuse)
}

#[test]
fn few_rows_suffice() {
    for (text, count) in [
        ("protocol == tcp", 1),
        ("port == 22", 2),
        ("port != 22", 1),
        ("port in 22,80,443,1000-2000", 2),
        ("port == 22 or port == 80 or port == 443", 2),
        ("destination_address in 10.0.0.0/8 and not (port in 22,443) and protocol == tcp", 1),
        ("address in 10.0.0.0/8,192.168.0.0/16 and protocol == udp", 2),
        ("source_port == 22 or protocol == tcp and source_port == 22", 1),
        ("protocol == tcp or protocol != tcp", 1),
        ("source_port == 1 or source_port != 1 and protocol == udp", 2),
        ("ethertype != 2048 or ethertype == 2048", 1),
        ("interface == eth0 and port == 22", 2),
        ("interface in eth0,eth1", 1),
    ] {
        assert_eq!(rows(text).len(), count, "{text}: {:?}", rows(text));
    }
    assert_eq!(rows("protocol == tcp or protocol != tcp"), [Row::default()]);
    assert_eq!(rows("ethertype != 2048 or ethertype == 2048"), [Row::default()]);
}

#[test]
fn contradictions_take_no_row() {
    for text in [
        "source_port == 22 and source_port == 23",
        "source_port == 80 and protocol == icmp",
        "source_port == null and destination_port == 80",
        "icmp_type == 8 and protocol == tcp",
        "icmp_type == 8 and port == 8",
        "source_address in 10.0.0.0/8 and destination_address in fd00::/8",
        "source_address in 10.0.0.0/8 and ethertype == 0x86dd",
        "address == 10.0.0.1 and protocol == null",
        "ethertype == 0x0806 and protocol == udp",
        "ethertype == null",
        "source_port > 65535",
        "direction == ingress and direction == egress",
        "not direction in ingress,egress",
        "interface == eth0 and interface == eth1",
        "interface == eth0 and not interface == eth*",
        "interface == veth* and not interface == veth*",
        "interface_index < 3 and interface_index == 7",
        "interface == null",
    ] {
        assert_eq!(rows(text), [], "{text}");
    }
}

#[test]
fn ports_are_not_icmp_types() {
    let sets = &rows("source_port == 8")[0].sets;
    assert_eq!(sets[&Dimension::SourcePort], Set::numbers(Dimension::SourcePort, [(8, 8)]));
    assert!(!sets.contains_key(&Dimension::IcmpType));
    let not = &rows("source_port != 8")[0].sets[&Dimension::SourcePort];
    assert!(not.has_absent());
}

#[test]
fn what_the_kernel_cannot_know_is_refused() {
    let told = |text| refused(text).expect_err(text).to_string();
    assert_eq!(told("port == 22 and bytes > 10k"), "column 16: bytes is not known of each packet");
    assert_eq!(told("not tcp_flags has syn"), "column 5: tcp_flags is not known of each packet");
    let filter: Filter = "port == 22 and vlan == 3".parse().expect("a filter");
    let known = |field: &weir_record::Field| field.name != "vlan";
    assert_eq!(
        filter.rows_knowing(8, Doubt::Refuse, known),
        Err(NotKernel::Field { field: "vlan", column: 16 })
    );
    assert_eq!(filter.rows_knowing(8, Doubt::Pass, known), Ok(rows("port == 22")));
    assert_eq!(filter.rows(1, Doubt::Refuse), Err(NotKernel::Rows { limit: 1 }));
}

#[test]
fn doubt_passes_either_way() {
    for text in
        ["bytes > 10k", "not bytes > 10k", "not (port == 22 and bytes > 10k)", "port == 22 or fragmented"]
    {
        let filter: Filter = text.parse().expect(text);
        assert_eq!(filter.rows(8, Doubt::Pass), Ok(vec![Row::default()]), "{text}");
    }
    let filter: Filter = "port == 22 and not bytes > 10k".parse().expect("a filter");
    assert_eq!(filter.rows(8, Doubt::Pass), Ok(rows("port == 22")));
}

#[test]
fn what_would_take_too_many_rows_is_refused_soon() {
    let clauses: Vec<_> = (0..200).map(|n| format!("(source_port != {n} or vlan != {n})")).collect();
    assert_eq!(refused(&clauses.join(" and ")), Err(NotKernel::Rows { limit: 256 }));
    let pairs: Vec<_> = (0..2000).map(|n| format!("source_port == {n} and vlan == {}", n % 4000)).collect();
    assert_eq!(refused(&pairs.join(" or ")), Err(NotKernel::Rows { limit: 256 }));
    let exceptions: Vec<_> = (0..40_000).map(|n| format!("source_port != {}", n * 7 % 65_536)).collect();
    assert_eq!(rows(&exceptions.join(" and ")).len(), 1);
    let ports: Vec<_> = (0..40_000).map(|n| format!("port == {}", n * 7 % 65_536)).collect();
    assert_eq!(rows(&ports.join(" or ")).len(), 2);
    let places: Vec<_> = (0..20_000).map(|n| format!("interface != eth{n}")).collect();
    assert_eq!(refused(&places.join(" and ")), Err(NotKernel::Rows { limit: 256 }));
}
