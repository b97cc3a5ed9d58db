//! What other exporters send: messages made by hand after RFC 7011, 5103 and what is in use.

use std::net::IpAddr;
use weir_ipfix::{Cause, Decoder, Mistake, ReadError, Reader, is_ipfix};
use weir_record::{FIELDS, FlowRecord, Value};

const SENT: u32 = 1_700_000_000;
const SECOND: u64 = 1_000_000_000;
const REVERSE: u32 = 29305;
const VARIABLE: u16 = u16::MAX;

/// A set: its id, what is in it, and zeros up to the next multiple of four.
fn set(id: u16, inside: &[u8]) -> Vec<u8> {
    let length = inside.len().next_multiple_of(4);
    let mut set = [id.to_be_bytes(), (4 + length as u16).to_be_bytes()].concat();
    set.extend(inside);
    set.resize(4 + length, 0);
    set
}

fn message(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    let mut message = [10_u16.to_be_bytes(), (16 + sets.len() as u16).to_be_bytes()].concat();
    [SENT, sequence, 1].iter().for_each(|number| message.extend(number.to_be_bytes()));
    message.extend(sets);
    message
}

/// Enterprise, id, length.
type Element = (u32, u16, u16);

fn specifiers(elements: &[Element]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (enterprise, id, length) in elements {
        let bit = if *enterprise == 0 { 0 } else { 0x8000 };
        bytes.extend((id | bit).to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(enterprise.to_be_bytes().iter().filter(|_| *enterprise != 0));
    }
    bytes
}

fn template(id: u16, elements: &[Element]) -> Vec<u8> {
    let head = [id.to_be_bytes(), (elements.len() as u16).to_be_bytes()].concat();
    set(2, &[head, specifiers(elements)].concat())
}

fn options_template(id: u16, scopes: u16, elements: &[Element]) -> Vec<u8> {
    let head = [id, elements.len() as u16, scopes].map(u16::to_be_bytes).concat();
    set(3, &[head, specifiers(elements)].concat())
}

/// Source, destination, protocol.
const KEY: [Element; 3] = [(0, 8, 4), (0, 12, 4), (0, 4, 1)];

fn key(protocol: u8) -> Vec<u8> {
    vec![192, 0, 2, 1, 192, 0, 2, 2, protocol]
}

fn with(more: &[Element]) -> Vec<Element> {
    [&KEY[..], more].concat()
}

fn read(messages: &[Vec<u8>]) -> (Vec<FlowRecord>, Decoder) {
    let (mut decoder, mut flows) = (Decoder::new(), Vec::new());
    messages.iter().for_each(|message| decoder.message(message, |flow| flows.push(flow)).expect("a message"));
    (flows, decoder)
}

/// One record of such values beside its key.
fn one(more: &[Element], protocol: u8, values: &[u8]) -> FlowRecord {
    let data = set(300, &[key(protocol), values.to_vec()].concat());
    let (flows, decoder) = read(&[message(0, &[template(300, &with(more)), data])]);
    assert_eq!(decoder.tally().of(Cause::BadValue), 0);
    let [flow] = &flows[..] else { panic!("{flows:?} {:?}", decoder.tally()) };
    flow.clone()
}

fn said<'r>(flow: &'r FlowRecord, name: &str) -> Value<'r> {
    let field = FIELDS.iter().find(|field| field.name == name).expect("a field");
    (field.read)(flow)
}

#[test]
fn counts_and_ports_in_as_few_bytes_as_they_need() {
    let flow = one(&[(0, 7, 2), (0, 11, 2), (0, 2, 1), (0, 1, 4)], 17, &[0, 53, 4, 0, 7, 0, 0, 1, 0]);
    assert_eq!((flow.key.ports(), flow.packets, flow.bytes), (Some((53, 1024)), 7, 256));
    assert_eq!(flow.key.addresses().map(|pair| pair.1), "192.0.2.2".parse::<IpAddr>().ok());
    assert_eq!((flow.reverse, flow.sampling_rate), (None, 1));
}

#[test]
fn bytes_from_the_link_layer_on_are_preferred() {
    let flow = one(&[(0, 1, 1), (0, 352, 1), (0, 85, 1)], 17, &[1, 2, 3]);
    assert_eq!(flow.bytes, 2);
}

#[test]
fn both_directions_in_one() {
    let more = [(0, 2, 1), (REVERSE, 2, 1), (REVERSE, 1, 1), (0, 239, 1)];
    let flow = one(&more, 6, &[3, 4, 5, 1]);
    let reverse = flow.reverse.expect("both");
    assert_eq!((flow.packets, reverse.count.packets, reverse.count.bytes), (3, 4, 5));
    assert_eq!(said(&flow, "biflow_direction"), Value::Text("initiator".into()));
    // As firewalls tell it.
    let flow = one(&[(0, 231, 1), (0, 232, 1)], 6, &[3, 4]);
    assert_eq!((flow.bytes, flow.reverse.map(|reverse| reverse.count.bytes)), (3, Some(4)));
}

#[test]
fn times_of_every_kind() {
    let times = |elements: &[Element], values: &[u8]| {
        let flow = one(elements, 17, values);
        (flow.start, flow.end)
    };
    let sent = u64::from(SENT) * SECOND;
    assert_eq!(times(&[(0, 150, 4), (0, 151, 4)], &[0, 0, 0, 1, 0, 0, 0, 2]), (SECOND, 2 * SECOND));
    let milliseconds = [1500_u64, 2500].map(u64::to_be_bytes).concat();
    assert_eq!(times(&[(0, 152, 8), (0, 153, 8)], &milliseconds), (3 * SECOND / 2, 5 * SECOND / 2));
    // Half a second into 2001, since 1900.
    let ntp = [(3_187_296_000_u64 << 32) | 1 << 31; 2].map(u64::to_be_bytes).concat();
    let half = 978_307_200 * SECOND + SECOND / 2;
    assert_eq!(times(&[(0, 154, 8), (0, 155, 8)], &ntp), (half, half));
    assert_eq!(times(&[(0, 156, 8), (0, 157, 8)], &ntp), (half, half));
    // By the exporter's clock, which began a second before the message.
    let up_since = |boot: u64, uptimes: [u32; 2]| {
        let values = [&boot.to_be_bytes()[..], &uptimes.map(u32::to_be_bytes).concat()].concat();
        times(&[(0, 160, 8), (0, 22, 4), (0, 21, 4)], &values)
    };
    let boot = u64::from(SENT) * 1000 - 1000;
    assert_eq!(up_since(boot, [5, 9]), (sent - SECOND + 5_000_000, sent - SECOND + 9_000_000));
    // It has begun anew: once between the two, and three times before; and what was there before it began.
    let lap = 1 << 32;
    assert_eq!(up_since(boot + 990 - lap, [u32::MAX, 9]), (sent - 11_000_000, sent - 1_000_000));
    assert_eq!(up_since(boot - 3 * lap, [5, 9]), (sent - SECOND + 5_000_000, sent - SECOND + 9_000_000));
    assert_eq!(up_since(boot, [u32::MAX - 1999, 9]), (sent - 3 * SECOND, sent - SECOND + 9_000_000));
    // Before the message, and for how long.
    assert_eq!(times(&[(0, 158, 4), (0, 161, 4)], &[0, 0, 3, 232, 0, 0, 0, 1]), (sent - 1_000_000, sent));
    assert_eq!(
        times(&[(0, 153, 8), (0, 162, 4)], &[1500_u64.to_be_bytes().as_slice(), &[0, 0, 0, 5]].concat()),
        (SECOND * 3 / 2 - 5_000, SECOND * 3 / 2)
    );
    // Only one, and none.
    assert_eq!(times(&[(0, 151, 4)], &[0, 0, 0, 2]), (2 * SECOND, 2 * SECOND));
    assert_eq!(times(&[], &[]), (sent, sent));
}

#[test]
fn the_exporter_tells_of_its_clock_in_another_record() {
    let boot = [&[0, 0, 0, 9][..], &(u64::from(SENT - 1) * 1000).to_be_bytes()].concat();
    let first = message(0, &[options_template(299, 1, &[(0, 143, 4), (0, 160, 8)]), set(299, &boot)]);
    let data = set(300, &[key(6), vec![0, 0, 0, 5]].concat());
    let (flows, decoder) = read(&[first, message(1, &[template(300, &with(&[(0, 22, 4)])), data])]);
    assert_eq!(
        (flows[0].start, decoder.tally().of(Cause::Options)),
        (u64::from(SENT - 1) * SECOND + 5_000_000, 1)
    );
    assert_eq!((decoder.tally().of(Cause::NoTime), decoder.tally().of(Cause::Missing)), (0, 0));
}

#[test]
fn icmp_however_it_is_told() {
    let icmp = |elements: &[Element], values: &[u8]| one(elements, 1, values).key.icmp();
    assert_eq!(icmp(&[(0, 176, 1), (0, 177, 1)], &[8, 0]), Some((8, 0)));
    assert_eq!(icmp(&[(0, 32, 2)], &[3, 1]), Some((3, 1)));
    assert_eq!(icmp(&[(0, 7, 2), (0, 11, 2)], &[0, 0, 8, 0]), Some((8, 0)));
    assert_eq!(icmp(&[(0, 7, 2), (0, 11, 2), (0, 32, 2)], &[0, 0, 0, 0, 3, 1]), Some((3, 1)));
    // What does not apply is zero with some.
    let gre = one(&[(0, 7, 2), (0, 11, 2), (0, 32, 2), (0, 58, 2), (0, 34, 4)], 47, &[0; 12]);
    assert_eq!((gre.key.ports(), gre.key.icmp(), gre.key.vlan(), gre.sampling_rate), (None, None, None, 1));
}

#[test]
fn interfaces_by_direction() {
    let place = |elements: &[Element], values: &[u8]| {
        let flow = one(elements, 17, values);
        (flow.direction.as_str(), flow.interface.index)
    };
    let both = [(0, 10, 4), (0, 14, 4)];
    assert_eq!(place(&both, &[0, 0, 0, 3, 0, 0, 0, 4]), ("ingress", 3));
    assert_eq!(place(&both, &[0, 0, 0, 0, 0, 0, 0, 4]), ("egress", 4));
    assert_eq!(place(&[both[0], both[1], (0, 61, 1)], &[0, 0, 0, 3, 0, 0, 0, 4, 1]), ("egress", 4));
}

#[test]
fn variable_lengths_and_what_is_not_known() {
    let more = [(0, 82, VARIABLE), (0, 95, VARIABLE), (9, 12_345, VARIABLE), (0, 2, 2)];
    let long = [&[255, 1, 0][..], &[b'x'; 256]].concat();
    let values = [&[4][..], b"eth7", &[2, 1, 1], &long, &[0, 9]].concat();
    let data = set(300, &[key(6), values].concat());
    let (flows, decoder) = read(&[message(0, &[template(300, &with(&more)), data])]);
    assert_eq!((flows[0].interface.name.as_str(), flows[0].packets), ("eth7", 9));
    assert_eq!(
        decoder.tally().causes().collect::<Vec<_>>(),
        [(Cause::UnknownElement, 2), (Cause::NoTime, 1)]
    );
}

#[test]
fn templates_change_and_go() {
    let data = |values: &[u8]| set(300, &[key(17), values.to_vec()].concat());
    let packets = template(300, &with(&[(0, 2, 1)]));
    let bytes = template(300, &with(&[(0, 1, 1)]));
    let withdrawn = set(2, &[1, 44, 0, 0]);
    let all_withdrawn = set(2, &[0, 2, 0, 0]);
    let (flows, decoder) = read(&[
        message(0, &[packets.clone(), data(&[1])]),
        message(1, &[bytes, data(&[2])]),
        message(2, &[withdrawn, data(&[3])]),
        message(3, &[packets, data(&[4])]),
        message(4, &[all_withdrawn, data(&[5])]),
    ]);
    let counts: Vec<_> = flows.iter().map(|flow| (flow.packets, flow.bytes)).collect();
    assert_eq!(counts, [(1, 0), (0, 2), (4, 0)]);
    assert_eq!(decoder.tally().of(Cause::NoTemplate), 2);
}

#[test]
fn what_makes_no_sense_is_counted_and_the_rest_read() {
    let whole = || [template(300, &with(&[(0, 2, 1)])), set(300, &[key(6), vec![7]].concat())];
    let count = |sets: Vec<Vec<u8>>, cause: Cause| {
        let (flows, decoder) = read(&[message(0, &[&whole()[..], &sets].concat())]);
        assert_eq!(flows.len(), 1, "{cause}");
        decoder.tally().of(cause)
    };
    assert_eq!(count(vec![set(999, &[0; 8])], Cause::NoTemplate), 1);
    assert_eq!(count(vec![set(2, &[0, 7, 0, 1, 0, 8, 0, 4])], Cause::BadTemplate), 1, "no template's number");
    assert_eq!(count(vec![template(301, &[(0, 8, 0)])], Cause::BadTemplate), 1, "a value of no length");
    assert_eq!(count(vec![options_template(301, 0, &[(0, 8, 4)])], Cause::BadTemplate), 1, "about nothing");
    assert_eq!(count(vec![vec![1, 44, 0, 3]], Cause::BadSet), 1);
    assert_eq!(count(vec![vec![1, 44, 1, 0, 1, 2]], Cause::BadSet), 1);
    let cut = vec![template(302, &with(&[(0, 82, VARIABLE)])), set(302, &[key(6), vec![200, 1, 1]].concat())];
    assert_eq!(count(cut, Cause::CutRecord), 1);
    let lonely = vec![template(303, &[(0, 8, 4), (0, 4, 1)]), set(303, &[1, 2, 3, 4, 6])];
    assert_eq!(count(lonely, Cause::NoFlow), 1, "no destination");
    let odd = vec![template(304, &with(&[(0, 136, 1)])), set(304, &[key(6), vec![99]].concat())];
    let (flows, decoder) = read(&[message(0, &odd)]);
    assert_eq!((flows.len(), decoder.tally().of(Cause::BadValue)), (1, 1));
}

#[test]
fn files_that_are_none_or_end_too_early() {
    let good = message(0, &[template(300, &KEY), set(300, &key(6))]);
    assert!(is_ipfix(&good) && !is_ipfix(b"PAR1") && !is_ipfix(&[0, 10]));
    let read = |bytes: Vec<u8>| Reader::new(&bytes[..]).map(|flow| flow.map(drop)).collect::<Vec<_>>();
    assert!(matches!(read(good.clone())[..], [Ok(())]));
    assert!(matches!(read(vec![])[..], []));
    let cut = read([&good[..], &good[..30]].concat());
    assert!(matches!(cut[..], [Ok(()), Err(ReadError::Cut { at })] if at == good.len() as u64), "{cut:?}");
    let netflow = read([&[0, 9][..], &good[2..]].concat());
    assert!(
        matches!(netflow[..], [Err(ReadError::Message { at: 0, mistake: Mistake::Version(9) })]),
        "{netflow:?}"
    );
}
