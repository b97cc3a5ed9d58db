use super::*;

/// A question for `web.example`, and what `records` hold.
fn answer(counts: [u16; 3], records: &[u8]) -> Vec<u8> {
    let mut message = b"\0\x07\x81\x80\0\x01".to_vec();
    message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    message.extend(b"\x03web\x07example\0\0\x01\0\x01");
    message.extend(records);
    message
}

const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x0a\0\0\x01";

#[test]
fn addresses_are_those_of_what_was_asked_for() {
    // web.example is edge.web.example, and that is 10.0.0.2; another name's address lies between.
    let records = b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x07\x04edge\xc0\x0c\
        \x05other\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x09\
        \xc0\x29\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x02";
    let message = Message::read(&answer([3, 0, 0], records)).expect("a message");
    let asked = &message.questions[0].name;
    assert_eq!(asked.to_string(), "web.example");
    assert_eq!(message.addresses(asked), [(IpAddr::from([10, 0, 0, 2]), 5)]);
}

#[test]
fn aliases_in_a_circle_end() {
    let message = Message::read(&answer([1, 0, 0], b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x02\xc0\x0c"));
    let message = message.expect("a message");
    assert_eq!(message.addresses(&message.questions[0].name), []);
}

#[test]
fn what_cannot_be_is_malformed() {
    let good = answer([1, 0, 0], ADDRESS);
    assert_eq!(Message::read(&good).map(|message| message.records[0].ttl), Ok(300));
    for length in 0..good.len() {
        assert_eq!(Message::read(&good[..length]), Err(Malformed), "{length}");
    }
    let greedy = answer([0xffff, 0, 0], ADDRESS);
    assert_eq!(Message::read(&greedy), Err(Malformed));
    assert_eq!(Message::read_cut(&greedy).map(|message| message.records.len()), Ok(1));
    // An address of three bytes.
    let short = answer([1, 0, 0], b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x03\x0a\0\0");
    assert_eq!(Message::read(&short), Err(Malformed));
}

#[test]
fn the_code_has_its_upper_bits_elsewhere() {
    let version = answer([0, 0, 1], b"\0\0\x29\x04\xd0\x01\0\0\0\0\0");
    assert_eq!(Message::read(&version).map(|message| message.code), Ok(16));
}

#[test]
fn what_is_kept_is_bounded() {
    let records = ADDRESS.repeat(500);
    let message = Message::read(&answer([500, 0, 0], &records)).expect("a message");
    assert_eq!(message.records.len(), RECORDS_MOST);
}
