//! What is read is what was written, and a filter means the same to the store as to records.

mod parts;

use arrow_array::cast::AsArray;
use parts::{NOON, Written, ask, record, segments, words};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::fs;
use std::ops::RangeInclusive;
use std::sync::Arc;
use weir_filter::{Filter, generate};
use weir_record::{
    Count, Direction, FIELDS, Field, FlowKey, FlowRecord, Id, Interface, InterfaceKind, Kind, Layer,
    Observation, Observations, Value,
};
use weir_store::{Looked, Question, Store, Table, flow_records, flow_rows};
use weir_tests::folder::Folder;

/// Arrow's times end in the year 2262.
const LAST: u64 = i64::MAX as u64;

/// Something for every field.
fn sample(field: &Field, seed: u64) -> Value<'static> {
    let words: &[&str] = match field.name {
        "flow_end_reason" => &["idle_timeout", "forced_end"],
        name => words(name).unwrap_or(&["", "x \"é\u{1b}", "/system.slice/nginx.service"]),
    };
    match field.kind {
        _ if field.name.ends_with("_id") && field.kind == Kind::Text => Value::Id(Id(seed << 40 | seed)),
        Kind::Text => Value::Text(words[seed as usize % words.len()].into()),
        Kind::Number if field.name == "ethertype" => Value::Number(0x0800),
        Kind::Number => Value::Number(seed % 63 + 1),
        Kind::Address => Value::Address([10, 0, 0, seed as u8].into()),
        Kind::Time => Value::Time(NOON + seed),
        Kind::Flag => Value::Flag(seed.is_multiple_of(2)),
        Kind::Bits => Value::Bits(seed % 16),
        Kind::Observations => Value::Absent,
    }
}

/// A record in which fields are told or not as the bits of `told` say.
fn full(seed: u64, told: u64) -> FlowRecord {
    let is_told =
        |place: usize, field: &Field| !field.nullable || told >> (place % 61) & 1 == 1 || place < 20;
    let icmp = |field: &Field| matches!(field.name, "icmp_type" | "icmp_code");
    let told = FIELDS.iter().enumerate().filter(|(place, field)| is_told(*place, field) && !icmp(field));
    let values = told.map(|(place, field)| (field, sample(field, seed.wrapping_add(place as u64))));
    FlowRecord::from_values(values).expect("a record")
}

fn observed() -> impl Strategy<Value = Observation> {
    (0..3_u32, any::<bool>(), any::<bool>(), prop::option::of(0..4096_u16), 0..9_u64).prop_map(
        |(index, is_inner, reverse, vlan, packets)| Observation {
            point: 0,
            interface: Arc::new(Interface {
                name: format!("eth{index}"),
                index,
                netns: "blue".into(),
                own_netns: true,
                kind: InterfaceKind::Other,
            }),
            direction: if reverse { Direction::Ingress } else { Direction::Egress },
            layer: if is_inner { Layer::Inner } else { Layer::Outer },
            vlan,
            translated: is_inner,
            reverse,
            count: Count { packets, bytes: packets * 60 },
        },
    )
}

fn by_one_point(record: &FlowRecord) -> Observations {
    let one = |direction, reverse, count| Observation {
        point: 0,
        interface: Arc::clone(&record.interface),
        direction,
        layer: Layer::Outer,
        vlan: record.key.vlan(),
        translated: false,
        reverse,
        count,
    };
    let there = one(record.direction, false, Count { packets: record.packets, bytes: record.bytes });
    let back = record.reverse.map(|reverse| one(record.direction.opposite(), true, reverse.count));
    std::iter::once(there).chain(back).filter(|one| one.count.packets > 0).collect()
}

fn any_record() -> impl Strategy<Value = FlowRecord> {
    let made = (any::<u64>(), any::<u64>()).prop_map(|(seed, told)| full(seed % 1000, told));
    let observations = prop::collection::vec(observed(), 0..4);
    (prop_oneof![made, generate::records()], observations).prop_map(|(mut record, observations)| {
        record.start = record.start.min(LAST);
        record.end = record.end.min(LAST);
        // What one point saw is not written; it is there again when it is read.
        record.observations =
            if observations.is_empty() { by_one_point(&record) } else { observations.into() };
        record
    })
}

/// Records of which some share what is known of their ends, and their interface, as an agent's do.
fn any_records() -> impl Strategy<Value = Vec<FlowRecord>> {
    let pairs = prop::collection::vec((any::<Index>(), any::<Index>()), 0..60);
    (prop::collection::vec(any_record(), 1..60), pairs).prop_map(|(mut records, pairs)| {
        for (one, other) in pairs {
            let FlowRecord { interface, source, destination, .. } = one.get(&records).clone();
            let at = other.index(records.len());
            records[at] = FlowRecord { interface, source, destination, ..records[at].clone() };
        }
        records
    })
}

/// All that a record says.
fn said(record: &FlowRecord) -> Vec<(&'static str, String)> {
    FIELDS.iter().map(|field| (field.name, format!("{:?}", (field.read)(record)))).collect()
}

/// Interfaces are the same that are called the same: the kind of those where others saw it is not kept.
fn sorted(records: impl IntoIterator<Item = FlowRecord>) -> Vec<Vec<(&'static str, String)>> {
    let mut all: Vec<_> = records
        .into_iter()
        .map(|record| {
            let mut all = said(&record);
            all.retain(|(name, _)| *name != "observations");
            all.push((
                "observations",
                format!("{:?}", record.observations.iter().map(brief).collect::<Vec<_>>()),
            ));
            all
        })
        .collect();
    all.sort();
    all
}

fn brief(one: &Observation) -> String {
    let (Observation { direction, layer, vlan, translated, reverse, count, .. }, interface) =
        (one, &one.interface);
    let place = (&interface.name, interface.index, &interface.netns);
    format!("{place:?} {direction:?} {layer:?} {vlan:?} {translated} {reverse} {count:?}")
}

fn store_of(records: &[FlowRecord]) -> Folder {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    let (some, others) = records.split_at(records.len() / 2);
    store.segment(some);
    store.segment(others);
    folder
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_written(records in any_records()) {
        let folder = store_of(&records);
        let found = ask(folder.place(), Question::default()).into_iter().map(|one| one.expect("a record"));
        prop_assert_eq!(sorted(found), sorted(records));
    }

    #[test]
    fn rows_are_the_records_in_their_order(records in any_records()) {
        let rows = flow_rows(Table::flows().schema(), &records.iter().collect::<Vec<_>>()).expect("rows");
        for (found, record) in flow_records(&rows).zip(&records) {
            prop_assert_eq!(sorted(found), sorted([record.clone()]));
        }
        prop_assert_eq!(rows.num_rows(), records.len());
    }

    #[test]
    fn a_filter_means_the_same(
        records in any_records(),
        filters in prop::collection::vec(generate::filters(), 8),
    ) {
        let folder = store_of(&records);
        for filter in filters {
            let wanted = records.iter().filter(|record| filter.matches(record));
            let wanted: Vec<_> = wanted.map(|record| record.flow_id).collect();
            let (found, _) = asked(&folder, &filter, 0..=LAST);
            let mut wanted = wanted;
            wanted.sort_unstable();
            prop_assert_eq!(found, wanted, "{}", filter);
        }
    }
}

/// The ids of what is found, sorted, and what was looked at for it.
fn asked(folder: &Folder, filter: &Filter, times: RangeInclusive<u64>) -> (Vec<u64>, Looked) {
    let store = Store::open(folder.place()).expect("a store");
    let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
    let columns = Some(vec!["flow_id"]);
    let mut scan = snapshot.scan(Question { times, filter: Some(Arc::new(filter.clone())), columns });
    let mut ids = Vec::new();
    for batch in scan.by_ref() {
        let batch = batch.expect("a batch");
        let texts = batch.column(0).as_string::<i32>().iter();
        ids.extend(texts.map(|id| u64::from_str_radix(id.expect("an id"), 16).expect("a number")));
    }
    ids.sort_unstable();
    (ids, scan.progress().groups)
}

/// Two groups of many pages, in some of which no row has a port.
fn of_many_pages() -> (Folder, Vec<FlowRecord>) {
    let one = |id: u64| {
        let plain = record(id, NOON + id);
        match id % 4 {
            0 => FlowRecord { flow_id: id, ..full(id % 1000, id.wrapping_mul(0x9e37_79b9_7f4a_7c15)) },
            1 => {
                let FlowKey::Ip { addresses, vlan, .. } = plain.key else { panic!("it is IP") };
                FlowRecord { key: FlowKey::Ip { vlan, addresses, protocol: 1, ports: None }, ..plain }
            }
            _ => plain,
        }
    };
    let records: Vec<_> = (0..240_000).map(one).collect();
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    records.chunks(20_000).for_each(|some| store.add(some));
    store.writer.write_segment().expect("a segment");
    (folder, records)
}

#[test]
fn pages_that_are_passed_over_have_nothing_of_it() {
    let (folder, records) = of_many_pages();
    let assert_same = |filter: &Filter, times: RangeInclusive<u64>| {
        let is_asked = |one: &&FlowRecord| times.contains(&one.end) && filter.matches(one);
        let wanted: Vec<_> = records.iter().filter(is_asked).map(|one| one.flow_id).collect();
        let (found, looked) = asked(&folder, filter, times.clone());
        assert_eq!(found, wanted, "{filter} {times:?}");
        looked
    };
    let some_time = NOON + 150_000..=NOON + 170_000;
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    for times in [0..=LAST, some_time.clone()] {
        for _ in 0..20 {
            let filter = generate::filters().new_tree(&mut runner).expect("a filter").current();
            assert_same(&filter, times.clone());
        }
    }
    for (text, pages) in [
        ("destination_port == 59999", 3),
        ("destination_port in 20000-20999", 2),
        ("destination_port in 20000-20999 and not source_port == 1", 2),
        ("destination_port == 30001 or destination_port == 59999", 1),
        ("destination_port == null", 2),
        ("destination_port == 59999 or bytes > 0", 0),
        ("destination_address == 10.1.5.2", 0),
        ("address in 10.1.5.0/24 and destination_port < 100", 2),
    ] {
        let filter = text.parse().expect("a filter");
        let looked = assert_same(&filter, 0..=LAST);
        assert_eq!((looked.groups_read, looked.groups_skipped), (2, 0), "{text}");
        assert!(looked.rows_skipped >= 2 * pages * 20_000, "{text}: {}", looked.rows_skipped);
        assert_same(&filter, some_time.clone());
    }
}

#[test]
fn a_damaged_index_of_pages_is_no_mishap() {
    let folder = Folder::new("store");
    Written::open(folder.place()).segment(&(0..50_000).map(|id| record(id, NOON + id)).collect::<Vec<_>>());
    let filter: Filter = "destination_port in 20000-20999".parse().expect("a filter");
    let (whole, _) = asked(&folder, &filter, 0..=LAST);
    let path = segments(folder.place()).remove(0);
    let bytes = fs::read(&path).expect("a segment");
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().expect("four bytes"));
    let end = bytes.len() - 8 - footer as usize;
    let mut refused = 0;
    // The index lies before the footer.
    for at in (end - 20_000..end).step_by(29) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, damaged).expect("written");
        let question = Question { filter: Some(Arc::new(filter.clone())), ..Question::default() };
        let found = ask(folder.place(), question);
        match found.iter().all(Result::is_ok) {
            true => assert_eq!(found.len(), whole.len(), "{at}"),
            false => refused += 1,
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_question_about_one_address_reads_one_segment() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    for part in 0..4_u64 {
        store.segment(
            &(0..1000)
                .map(|id| record(part * 1000 + id, NOON + part * 600_000_000_000 + id))
                .collect::<Vec<_>>(),
        );
    }
    let looked_at = |text: &str, times| {
        let store = Store::open(folder.place()).expect("a store");
        let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
        let filter: Filter = text.parse().expect("a filter");
        let columns = Some(vec!["source_address", "bytes"]);
        let mut scan = snapshot.scan(Question { times, filter: Some(Arc::new(filter)), columns });
        let rows: usize = scan.by_ref().map(|batch| batch.expect("a batch").num_rows()).sum();
        let progress = scan.progress();
        assert_eq!(scan.schema().fields().len(), 2);
        (rows, progress.segments_skipped, progress.groups.groups_skipped, progress.groups.groups_read)
    };
    assert_eq!(looked_at("address == 10.1.5.0", 0..=LAST), (1, 0, 3, 1));
    assert_eq!(looked_at("port == 2500", 0..=LAST), (1, 0, 3, 1));
    assert_eq!(looked_at("bytes == 60", NOON..=NOON + 500), (501, 3, 0, 1));
    assert_eq!(looked_at("bytes > 60", 0..=LAST), (0, 0, 4, 0));
    assert_eq!(looked_at("not port == 2500", 0..=LAST), (3999, 0, 0, 4));
    assert_eq!(looked_at("end < 2100-01-01T12:10:00Z", 0..=LAST), (1000, 0, 3, 1));
}
