use super::*;
use proptest::prelude::*;

fn written(fill: impl FnOnce(&mut Message<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    fill(&mut Message(&mut out));
    out
}

/// The examples of protobuf.dev, "Encoding".
#[test]
fn as_the_specification_shows() {
    assert_eq!(written(|message| message.number(1, 150)), [0x08, 0x96, 0x01]);
    assert_eq!(written(|message| message.bytes(2, "testing")), *b"\x12\x07testing");
    assert_eq!(written(|message| message.text(2, "testing")), *b"\x12\x07testing");
    assert_eq!(
        written(|message| message.message(3, |inner| inner.number(1, 150))),
        [0x1a, 0x03, 0x08, 0x96, 0x01]
    );
    // -2 as an int64.
    let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(written(|message| message.number(1, -2_i64 as u64)), minus_two);
    assert_eq!(written(|message| message.fixed64(1, 1)), [0x09, 1, 0, 0, 0, 0, 0, 0, 0]);
}

/// Lengths of one, two, three and four bytes; each is as short as it can be.
#[test]
fn lengths_stand_before_what_they_are_of() {
    for (length, prefix) in [
        (0, &[0x0a, 0][..]),
        (127, &[0x0a, 0x7f]),
        (128, &[0x0a, 0x80, 0x01]),
        (16_383, &[0x0a, 0xff, 0x7f]),
        (16_384, &[0x0a, 0x80, 0x80, 0x01]),
        (2_097_152, &[0x0a, 0x80, 0x80, 0x80, 0x01]),
    ] {
        let content: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let nested = written(|message| message.message(1, |inner| inner.0.extend_from_slice(&content)));
        assert!(nested == [prefix, &content].concat(), "{length}");
        assert!(nested == written(|message| message.bytes(1, &content)), "{length}");
    }
}

#[test]
fn what_is_no_message_is_said_once() {
    for bytes in [
        &[0x08][..],                                                         // no value
        &[0x00, 0x00],                                                       // field 0
        &[0x0b],                                                             // a group
        &[0x0a, 0x02, 0x00],                                                 // shorter than it says
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],                         // far shorter
        &[0x09, 1, 2, 3],                                                    // three bytes of eight
        &[0xff; 11],                                                         // a tag without an end
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], // of 65 bits
    ] {
        assert_eq!(Fields::of(bytes).collect::<Vec<_>>(), [Err(Malformed)], "{bytes:?}");
    }
}

#[derive(Debug, Clone)]
enum Node {
    Number(u64),
    Fixed64(u64),
    Bytes(Vec<u8>),
    Message(Vec<(u32, Node)>),
}

fn nodes() -> impl Strategy<Value = Vec<(u32, Node)>> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Node::Number),
        any::<u64>().prop_map(Node::Fixed64),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Node::Bytes),
    ];
    let number = || 1..1_u32 << 29;
    let tree = leaf.prop_recursive(5, 60, 6, move |inner| {
        prop::collection::vec((number(), inner), 0..6).prop_map(Node::Message)
    });
    prop::collection::vec((number(), tree), 0..6)
}

fn write(message: &mut Message<'_>, fields: &[(u32, Node)]) {
    for (field, node) in fields {
        match node {
            Node::Number(number) => message.number(*field, *number),
            Node::Fixed64(number) => message.fixed64(*field, *number),
            Node::Bytes(bytes) => message.bytes(*field, bytes),
            Node::Message(inner) => message.message(*field, |message| write(message, inner)),
        }
    }
}

fn check(bytes: &[u8], fields: &[(u32, Node)]) {
    let read: Vec<_> = Fields::of(bytes).map(|field| field.expect("a field")).collect();
    assert_eq!(read.len(), fields.len());
    for ((field, content), (expected, node)) in read.into_iter().zip(fields) {
        assert_eq!(field, *expected);
        match (content, node) {
            (Content::Bytes(bytes), Node::Message(inner)) => check(bytes, inner),
            (Content::Bytes(bytes), Node::Bytes(expected)) => assert_eq!(bytes, expected),
            (Content::Number(number), Node::Number(expected)) => assert_eq!(number, *expected),
            (Content::Fixed64(number), Node::Fixed64(expected)) => assert_eq!(number, *expected),
            (content, node) => panic!("{content:?}: {node:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(fields in nodes()) {
        check(&written(|message| write(message, &fields)), &fields);
    }

    /// Of anything, and of a message with one byte changed or its end cut off.
    #[test]
    fn reading_ends(fields in nodes(), bytes in prop::collection::vec(any::<u8>(), 0..200), at: usize, byte: u8, is_cut: bool) {
        prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        let mut message = written(|message| write(message, &fields));
        let at = at % message.len().max(1);
        if is_cut { message.truncate(at) } else if let Some(old) = message.get_mut(at) { *old = byte }
        prop_assert!(Fields::of(&message).count() <= message.len());
    }
}
