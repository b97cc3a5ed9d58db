//! NetFlow 9 and 5: whatever the records, no message is longer than it may be, and what is in the messages adds up.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use weir_filter::generate;
use weir_ipfix::{Cause, Decoder, Encode, NetFlow5, NetFlow9, Progress, Refused};
use weir_record::{Count, Evidence, FIELDS, Field, FlowKey, FlowRecord, Reverse};

const NOW: u32 = 1_700_000_000;
const SECOND: u64 = 1_000_000_000;
const V5_HEADER: usize = 24;
const V5_RECORD: usize = 48;

/// Packets and bytes by who sent them to whom, and how often there is a flow of that.
type Sums = BTreeMap<(IpAddr, IpAddr), [u128; 3]>;

fn add(sums: &mut Sums, ends: (IpAddr, IpAddr), count: Count) {
    let sum = sums.entry(ends).or_default();
    *sum = [sum[0] + u128::from(count.packets), sum[1] + u128::from(count.bytes), sum[2] + 1];
}

fn count() -> impl Strategy<Value = Count> {
    let number = || prop_oneof![0..3_u64, Just(1000), 0..1_u64 << 38, Just(u32::MAX.into()), any::<u64>()];
    (number(), number()).prop_map(|(packets, bytes)| Count { packets, bytes })
}

fn records() -> impl Strategy<Value = FlowRecord> {
    let reverse = (count(), 0..0x200_u16, prop_oneof![5 => 0..3_u32, 1 => any::<u32>()]);
    let reverse = reverse.prop_map(|(count, tcp_flags, sampling_rate)| Reverse {
        count,
        tcp_flags,
        sampling_rate,
        evidence: Evidence::None,
    });
    let ago = || 0..20 * 86_400 * SECOND;
    (generate::records(), count(), prop::option::of(reverse), (ago(), ago())).prop_map(
        |(record, count, reverse, (start, end))| {
            let [start, end] = [start, end].map(|ago| u64::from(NOW) * SECOND - ago);
            let Count { packets, bytes } = count;
            FlowRecord { packets, bytes, reverse, start, end, ..record }
        },
    )
}

/// What has to come out: nothing of a direction without packets where the other has some.
fn wanted<'r>(records: impl IntoIterator<Item = &'r FlowRecord>) -> Sums {
    let mut sums = Sums::new();
    for record in records {
        let Some((source, destination)) = record.key.addresses() else { continue };
        let there = Count { packets: record.packets, bytes: record.bytes };
        let back = record.reverse.map(|reverse| reverse.count).filter(|count| *count != Count::default());
        if there != Count::default() || back.is_none() {
            add(&mut sums, (source, destination), there);
        }
        if let Some(back) = back {
            add(&mut sums, (destination, source), back);
        }
    }
    sums
}

fn written() -> impl Strategy<Value = &'static Field> {
    prop::sample::select(FIELDS.iter().filter(|field| NetFlow9::is_written(field)).collect::<Vec<_>>())
}

fn encoded(encoder: &mut dyn Encode, records: &[FlowRecord]) -> (Vec<Vec<u8>>, Vec<Option<Refused>>) {
    let (mut messages, mut refused) = (Vec::new(), Vec::new());
    for record in records {
        let added = encoder.add(record);
        refused.push(added.as_ref().err().copied());
        messages.extend_from_slice(added.unwrap_or_default());
    }
    messages.extend_from_slice(encoder.end());
    (messages, refused)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]))
}

/// The same as IPFIX, whose reader knows nothing of NetFlow: another header, and another number for templates.
fn as_ipfix(message: &[u8], records_before: u32) -> Vec<u8> {
    let (header, mut sets) = message.split_at(20);
    assert_eq!((u16_at(header, 0), u32_at(header, 16)), (9, 77));
    let length = 16 + sets.len() as u16;
    let mut ipfix = [&[0, 10][..], &length.to_be_bytes(), &header[8..12]].concat();
    ipfix.extend(records_before.to_be_bytes());
    ipfix.extend(&header[16..]);
    while let [high, low, rest @ ..] = sets {
        let id = u16::from_be_bytes([*high, *low]);
        let (set, after) = sets.split_at(u16_at(rest, 0).into());
        assert_eq!(set.len() % 4, 0, "sets end at multiples of four");
        ipfix.extend(if id == 0 { 2 } else { id }.to_be_bytes());
        ipfix.extend(&set[2..]);
        sets = after;
    }
    ipfix
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn version_9_adds_up(records in prop::collection::vec(records(), 0..40), usual in 512..1500_usize) {
        let mut encoder = NetFlow9::new(77, usual);
        encoder.set_time(NOW);
        let (messages, refused) = encoded(&mut encoder, &records);
        let (mut decoder, mut sums, mut flows) = (Decoder::new(), Sums::new(), 0);
        for (sequence, message) in messages.iter().enumerate() {
            prop_assert!(message.len() <= usual, "{} > {usual}", message.len());
            prop_assert_eq!(u32_at(message, 12), sequence as u32);
            let before = flows;
            decoder.message(&as_ipfix(message, flows), |flow| {
                flows += 1;
                let ends = flow.key.addresses().expect("IP");
                add(&mut sums, ends, Count { packets: flow.packets, bytes: flow.bytes });
            }).expect("a message");
            // The rest of those that it says it has are templates.
            prop_assert!(u32::from(u16_at(message, 2)) >= flows - before);
        }
        prop_assert_eq!(sums, wanted(&records));
        let tally = decoder.tally();
        for cause in [Cause::NoTemplate, Cause::BadTemplate, Cause::BadSet, Cause::CutRecord, Cause::NoFlow, Cause::Missing] {
            prop_assert_eq!(tally.of(cause), 0, "{}", cause);
        }
        for (record, refused) in records.iter().zip(refused) {
            let is_ip = matches!(record.key, FlowKey::Ip { .. });
            prop_assert_eq!(refused, (!is_ip).then_some(Refused::NotIp));
        }
    }

    #[test]
    fn version_5_adds_up(records in prop::collection::vec(records(), 0..40), usual in 512..1500_usize) {
        let mut encoder = NetFlow5::new(0x102);
        encoder.set_usual(usual);
        encoder.set_time(NOW);
        let (messages, refused) = encoded(&mut encoder, &records);
        let (mut sums, mut flows) = (Sums::new(), 0);
        for message in &messages {
            let (header, body) = message.split_at(V5_HEADER);
            prop_assert!(message.len() <= usual && body.len() <= 30 * V5_RECORD);
            let here = body.len() / V5_RECORD;
            prop_assert_eq!((u16_at(header, 0), usize::from(u16_at(header, 2))), (5, here));
            prop_assert_eq!((body.len() % V5_RECORD, u32_at(header, 16), u16_at(header, 20)), (0, flows, 0x102));
            flows += here as u32;
            for record in body.chunks(V5_RECORD) {
                let address = |at| IpAddr::from(Ipv4Addr::from_bits(u32_at(record, at)));
                let count = Count { packets: u32_at(record, 16).into(), bytes: u32_at(record, 20).into() };
                add(&mut sums, (address(0), address(4)), count);
                prop_assert!(u32_at(record, 24) <= u32_at(header, 4) && u32_at(record, 28) <= u32_at(header, 4));
            }
        }
        let said = records.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
        let wanted = wanted(said.map(|(record, _)| record));
        let counts = |sums: &Sums| sums.iter().map(|(ends, sum)| (*ends, sum[0], sum[1])).collect::<Vec<_>>();
        prop_assert_eq!(counts(&sums), counts(&wanted));
        prop_assert!(sums.iter().all(|(ends, sum)| sum[2] >= wanted[ends][2]), "one at least for each way");
        for (record, refused) in records.iter().zip(refused) {
            let is_v4 = record.key.ethertype() == 0x0800 && record.key.addresses().is_some();
            match refused {
                Some(Refused::NotIp | Refused::Ipv6) => prop_assert!(!is_v4),
                Some(Refused::SamplingRate(rate)) => prop_assert!(is_v4 && rate > 16_383),
                Some(Refused::TooMuch(most)) => prop_assert!(is_v4 && most > 1 << 47),
                other => prop_assert!(is_v4 && other.is_none()),
            }
        }
    }

    /// However few fields are asked for, what fills a set up is not taken for a flow.
    #[test]
    fn a_flow_has_its_key(records in prop::collection::vec(records(), 1..20), name in written()) {
        let mut encoder = NetFlow9::new(77, 1472).of(&[name]);
        encoder.set_time(NOW);
        let (messages, _) = encoded(&mut encoder, &records);
        let (mut decoder, mut flows) = (Decoder::new(), 0);
        for message in &messages {
            decoder.message(&as_ipfix(message, flows), |_| flows += 1).expect("a message");
        }
        let wanted: u128 = wanted(&records).values().map(|sum| sum[2]).sum();
        prop_assert_eq!((u128::from(flows), decoder.tally().of(Cause::Missing)), (wanted, 0));
    }
}

/// What was not sent is not counted, and templates are said again.
#[test]
fn it_goes_back() {
    let records: Vec<_> = std::iter::repeat_n(sample(), 100).collect();
    let encoders: [(Box<dyn Encode>, usize); 2] =
        [(Box::new(NetFlow9::new(77, 600)), 12), (Box::new(NetFlow5::new(0)), 16)];
    for (mut encoder, at) in encoders {
        encoder.set_usual(600);
        encoder.set_time(NOW);
        let first = encoded(encoder.as_mut(), &records).0;
        assert!(first.len() > 1);
        encoder.go_back(Progress::default());
        let again = encoded(encoder.as_mut(), &records).0;
        assert_eq!(first, again);
        encoder.renew();
        let next = encoded(encoder.as_mut(), &records).0;
        assert_eq!(u32_at(&next[0], at), encoder.progress().sequence / 2);
        assert_eq!(next.len(), again.len(), "the template, too");
    }
}

fn sample() -> FlowRecord {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let v4 = generate::records()
        .prop_filter("IPv4", |record| record.key.addresses().is_some_and(|ends| ends.0.is_ipv4()));
    let record = v4.new_tree(&mut runner).expect("a record").current();
    FlowRecord { packets: 1, bytes: 2, ..record }
}
