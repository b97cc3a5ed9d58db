//! IPFIX with everything that a flow can have, as tshark has it from the wire.

use crate::common::{full::full, row};
use crate::peer;
use crate::records::{key, record, reverse};
use crate::said;
use crate::tshark::{capture, dissected, received};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use weir_record::{Direction, FIELDS, FlowRecord, Translation};
use weir_tests::folder::Folder;
use weir_tests::ipfix;

/// TCP and ICMP of both families, with all that there is of each; the translation of a family's own.
fn records() -> Vec<FlowRecord> {
    let families = [["192.0.2.1", "198.51.100.2"], ["2001:db8::1", "2001:db8::2"]];
    let mut records = Vec::new();
    for (ends, echo) in families.into_iter().zip([(1, 8), (58, 128)]) {
        let [source, destination] = ends.map(|end| end.parse().expect("an address"));
        let translation = Translation { source: (destination, 61_000), destination: (source, 8080) };
        for (protocol, ports, direction) in
            [(6, (40_000, 443), Direction::Egress), (echo.0, (echo.1, 0), Direction::Ingress)]
        {
            let one = record(key(ends, protocol, Some(ports)).with_vlan(Some(22)), direction, [10, 1500]);
            let mut interface = (*one.interface).clone();
            // tshark has no word for a text without a letter.
            interface.netns = "blue".into();
            let one = FlowRecord {
                interface: interface.into(),
                flow_id: 1 + records.len() as u64,
                reverse: reverse([7, 9000], if protocol == 6 { 0x12 } else { 0 }),
                translation: Some(translation),
                ..one
            };
            records.push(full(&one).0);
        }
    }
    records
}

#[test]
fn tshark_reads_every_field() {
    let (folder, sent) = (Folder::new("ipfix"), records());
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    let mut peer = peer(&format!("ipfix+udp://127.0.0.1:{port}"));
    assert_eq!(peer.send(&sent).expect("sent").refused, 0);
    let messages = received(&socket);
    let read = ipfix::flows(&folder.write("flows.pcap", capture(&messages)));
    assert_eq!(read.len(), sent.len());
    let met: BTreeSet<_> =
        sent.iter().zip(&read).flat_map(|(sent, read)| ipfix::compare(&row(sent), read)).collect();
    let written = FIELDS.iter().filter(|field| field.ipfix.is_some());
    let missing: Vec<_> = written.map(|field| field.name).filter(|name| !met.contains(*name)).collect();
    assert_eq!(missing, [""; 0]);
    // Bytes once more, as others know them: of both directions.
    let text = dissected(&messages);
    assert_eq!(said(&text, "Octets"), ["1500", "9000 (Reverse Type 1 BYTES)"].repeat(4), "{text}");
}
