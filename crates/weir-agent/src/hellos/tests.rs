use super::*;
use std::net::Ipv4Addr;

/// A client's first message, in one record.
fn message(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let server_name = sized(&[&[0][..], &sized(name.as_bytes())].concat());
    let protocols = sized(&[&[2][..], b"h2"].concat());
    let extensions = sized(
        &[&[0, 0][..], &sized(&server_name), &[0, 16], &sized(&protocols), &[0, 43, 0, 3, 2, 3, 4]].concat(),
    );
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let handshake = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&handshake)].concat()
}

fn words(last: u8) -> [u64; 2] {
    let octets = Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets();
    [0, 8].map(|at| u64::from_ne_bytes(octets[at..at + 8].try_into().expect("eight")))
}

fn part(sequence: u32, length: usize, is_first: u8) -> PayloadPart {
    PayloadPart {
        source: words(1),
        destination: words(2),
        source_port: 40_000,
        destination_port: 443,
        protocol: PROTOCOL_TCP,
        time: 1,
        length: length as u32,
        sequence,
        is_first,
        ..PayloadPart::default()
    }
}

#[test]
fn a_message_in_two_segments_is_one_and_told_once() {
    let (message, mut hellos) = (message("example.org"), Hellos::default());
    let (front, back) = message.split_at(40);
    let first = part(u32::MAX - 10, front.len(), 1);
    assert_eq!(hellos.hear(&first, front), None);
    // The kernel sends what was not acknowledged again.
    assert_eq!(hellos.hear(&first, front), None);
    let second = part(first.sequence.wrapping_add(40), back.len(), 0);
    let said = hellos.hear(&second, back).expect("it is whole");
    let ends = ["10.0.0.1:40000", "10.0.0.2:443"].map(|end| end.parse().expect("an end"));
    assert_eq!(said.connection, (PROTOCOL_TCP, ends));
    assert_eq!(
        (said.sni.server_name.as_deref(), said.sni.protocols.as_deref()),
        (Some("example.org"), Some("h2"))
    );
    assert_eq!((said.sni.version().as_ref(), said.sni.is_encrypted), ("1.3", false));
    // At the next interface.
    let there = PayloadPart { ifindex: 2, ..part(1, message.len(), 1) };
    assert_eq!(hellos.hear(&there, &message), None);
    assert_eq!((hellos.malformed(), hellos.incomplete()), (0, 0));
}

#[test]
fn what_is_cut_or_never_ends_is_counted() {
    let (message, mut hellos) = (message("example.org"), Hellos::default());
    assert_eq!(hellos.hear(&part(1, message.len(), 1), &message[..50]), None);
    assert_eq!(hellos.incomplete(), 1);
    assert_eq!(hellos.hear(&part(1, 50, 1), &message[..50]), None);
    let late = PayloadPart { time: 2 * PATIENCE.as_nanos() as u64, ..part(51, message.len() - 50, 0) };
    assert_eq!(hellos.hear(&late, &message[50..]), None);
    assert_eq!(hellos.incomplete(), 2);
    let mut broken = message.clone();
    broken[43] = 200;
    assert_eq!(hellos.hear(&part(1, broken.len(), 1), &broken), None);
    assert_eq!(hellos.malformed(), 1);
}

#[test]
fn names_are_harmless_and_memory_is_bounded() {
    let mut hellos = Hellos::default();
    let hostile = message("\u{1b}[2J\n.org");
    let said = hellos.hear(&part(1, hostile.len(), 1), &hostile).expect("it is whole");
    assert_eq!(said.sni.server_name.as_deref(), Some("\\u{1b}[2J\\n.org"));
    let message = message("example.org");
    for port in 0..5000 {
        let begun = PayloadPart { source_port: port, ..part(1, 20, 1) };
        hellos.hear(&begun, &message[..20]);
    }
    assert_eq!((hellos.begun.len(), hellos.incomplete()), (MOST, 5000 - MOST as u64));
}
