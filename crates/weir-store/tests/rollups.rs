//! Roll-ups: their sums are those of the records, whatever happens on the way.

mod parts;

use parts::{PAST, SECOND, Written, segments, segments_of, words};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_record::{FIELDS, Field, FlowRecord, Kind, Unit, Value};
use weir_store::{Column, Question, Retention, Store, Table, value};
use weir_tests::folder::Folder;

const DAY: u64 = 86_400 * SECOND;
const HOUR: u64 = 3600 * SECOND;

/// One of a few values for every field, by the seed.
fn sample(field: &Field, seed: u64) -> Value<'static> {
    let words: &[&str] = match field.name {
        "flow_end_reason" => &["idle_timeout", "active_timeout"],
        name => words(name).unwrap_or(&["", "x \"é\u{1b}"]),
    };
    match field.kind {
        _ if field.name == "flow_id" || field.name == "parent_id" => {
            Value::Text(format!("{seed:016x}").into())
        }
        Kind::Text => Value::Text(words[seed as usize % words.len()].into()),
        Kind::Number if field.name == "ethertype" => Value::Number(0x0800),
        Kind::Number if field.unit == Unit::None => Value::Number(seed % 2 + 1),
        Kind::Number if field.name.ends_with("_length") => Value::Number(seed % 1500),
        Kind::Number => Value::Number(seed),
        Kind::Address => Value::Address([10, 0, 0, (seed % 3) as u8].into()),
        Kind::Time => Value::Time(PAST + seed),
        Kind::Flag => Value::Flag(seed.is_multiple_of(2)),
        Kind::Bits => Value::Bits(seed % 16),
        Kind::Observations => Value::Absent,
    }
}

/// A record that ended then. Seeds that are alike in their last digits make keys that are the same.
fn full(seed: u64, end: u64) -> FlowRecord {
    let is_there = |field: &Field| {
        !matches!(field.name, "icmp_type" | "icmp_code" | "start" | "end")
            && (!field.nullable
                || !(seed + field.name.len() as u64).is_multiple_of(4)
                || field.kind == Kind::Address
                || field.name == "protocol")
    };
    let told = FIELDS.iter().filter(|field| is_there(field)).map(|field| {
        let is_counted = field.kind == Kind::Number && field.unit != Unit::None;
        (field, sample(field, if is_counted { seed * 7 } else { seed % 5 }))
    });
    let start = end - seed % 90 * SECOND;
    FlowRecord { start, end, ..FlowRecord::from_values(told).expect("a record") }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Same,
    Sum,
    Least,
    Most,
    Count,
}

/// The field that a column is made of, and how, by its name.
fn made(column: &Column) -> (&'static Field, How) {
    let field = |name: &str| FIELDS.iter().find(|field| field.name == name);
    let ends = [("_count", How::Count), ("_sum", How::Sum), ("_min", How::Least), ("_max", How::Most)];
    let of = ends.iter().find_map(|(end, how)| Some((field(column.name.strip_suffix(end)?)?, *how)));
    let plain = || {
        let of = field(column.name).expect("a field");
        match column.name {
            "start" => (of, How::Least),
            "end" => (of, How::Most),
            _ if matches!(of.unit, Unit::Packets | Unit::Bytes) => (of, How::Sum),
            _ => (of, How::Same),
        }
    };
    match column.name {
        "records" => (field("end").expect("a field"), How::Count),
        _ => of.unwrap_or_else(plain),
    }
}

type Sums = BTreeMap<(u64, Vec<String>), Vec<Option<u128>>>;

fn number(value: &Value<'_>) -> Option<u128> {
    match value {
        Value::Number(number) | Value::Time(number) => Some(u128::from(*number)),
        _ => None,
    }
}

/// Adds a row: its time, and a value for each column after that.
fn add<'v>(sums: &mut Sums, time: u64, row: impl Iterator<Item = (How, Value<'v>)>) {
    let (key, measures): (Vec<_>, Vec<_>) = row.partition(|(how, _)| *how == How::Same);
    let key = key.iter().map(|(_, value)| format!("{value:?}")).collect();
    let sum = sums.entry((time, key)).or_insert_with(|| vec![None; measures.len()]);
    for (sum, (how, value)) in sum.iter_mut().zip(measures) {
        let Some(more) = number(&value) else { continue };
        *sum = Some(match (*sum, how) {
            (sum, How::Count) => sum.unwrap_or(0) + 1,
            (None, _) => more,
            (Some(sum), How::Sum | How::Same) => sum + more,
            (Some(sum), How::Least) => sum.min(more),
            (Some(sum), How::Most) => sum.max(more),
        });
    }
}

/// What the table should hold.
fn expected(table: &Table, records: &[FlowRecord]) -> Sums {
    let (mut sums, span) = (Sums::new(), table.span.expect("a roll-up"));
    for record in records {
        let row = table.columns[1..].iter().map(|column| {
            let (field, how) = made(column);
            (how, (field.read)(record))
        });
        add(&mut sums, record.end / span * span, row);
    }
    sums
}

/// What it holds.
fn found(directory: &Path, table: &'static Table) -> Sums {
    let mut sums = Sums::new();
    let store = Store::open(directory).expect("a store");
    for batch in store.snapshot(table).expect("a snapshot").scan(Question::default()) {
        let batch = batch.expect("intact");
        for row in 0..batch.num_rows() {
            let mut values = table.columns.iter().map(|column| {
                let how = if column.name == "time" { How::Same } else { made(column).1 };
                let how = if how == How::Count { How::Sum } else { how };
                (how, value(batch.column_by_name(column.name).expect("a column"), column.kind, row))
            });
            let time = values.next().and_then(|(_, time)| number(&time)).expect("a time");
            add(&mut sums, time as u64, values);
        }
    }
    sums
}

/// One round of the keeper, and what it said.
fn round(directory: &Path, retention: Retention) -> Vec<String> {
    Written::summing(directory, retention).close()
}

fn assert_equal(directory: &Path, records: &[FlowRecord]) {
    for table in Table::roll_ups() {
        let (found, expected) = (found(directory, table), expected(table, records));
        assert_eq!(found.len(), expected.len(), "{}", table.name);
        for (key, sums) in &expected {
            assert_eq!(found.get(key), Some(sums), "{} {key:?}", table.name);
        }
    }
}

fn store_of(folder: &Folder, parts: &[Vec<FlowRecord>]) {
    // Nothing is summed up yet.
    let mut store = Written::open(folder.place());
    parts.iter().for_each(|part| store.segment(part));
}

/// Of a day that is over, so that they are merged.
fn parts(count: u64) -> Vec<Vec<FlowRecord>> {
    let part = |part| (0..200).map(move |id| full(part * 200 + id, PAST + part * 40 * SECOND + id * SECOND));
    (0..count).map(|number| part(number).collect()).collect()
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let tables = std::iter::once(Table::flows()).chain(Table::roll_ups());
    let paths = tables.flat_map(|table| segments_of(directory, table));
    paths.map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// A segment of so many records, these days and hours ago; some are of the day before.
    Segment(u64, u64, u64),
    Round,
    /// Sums that are lost: one of so many files.
    Lose(usize),
    /// A round, and a power loss before what was merged went.
    Unfinished,
    /// A kill while sums were written.
    HalfWritten,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..60_u64, 0..2_u64, 0..20_u64).prop_map(|(count, days, hours)| Step::Segment(count, days, hours)),
        2 => Just(Step::Round),
        2 => any::<prop::sample::Index>().prop_map(|index| Step::Lose(index.index(1000))),
        2 => Just(Step::Unfinished),
        1 => Just(Step::HalfWritten),
    ];
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_those_of_the_records_after_each_round(steps in steps()) {
        let folder = Folder::new("store");
        let directory = folder.place();
        let mut records = Vec::new();
        for step in steps.into_iter().chain([Step::Round]) {
            match step {
                Step::Segment(count, days, hours) => {
                    let end = |id: u64| PAST - days * DAY - hours * HOUR - id % 7 * (DAY / 6);
                    let new: Vec<_> = (0..count).map(|id| full(id * 3 + hours, end(id))).collect();
                    Written::open(directory).segment(&new);
                    records.extend(new);
                    continue;
                }
                Step::Lose(which) => {
                    let all: Vec<_> =
                        Table::roll_ups().iter().flat_map(|table| segments_of(directory, table)).collect();
                    if let Some(path) = all.get(which % all.len().max(1)) {
                        fs::remove_file(path).expect("removed");
                    }
                    prop_assert_eq!(round(directory, Retention::default()), Vec::<String>::new());
                }
                Step::Unfinished => {
                    let before = files(directory);
                    round(directory, Retention::default());
                    before.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("written"));
                    assert_equal(directory, &records);
                    round(directory, Retention::default());
                }
                Step::HalfWritten => {
                    fs::create_dir_all(directory.join("flows_1m")).expect("created");
                    fs::write(directory.join("flows_1m/.1-1.tmp"), "half").expect("written");
                    round(directory, Retention::default());
                }
                Step::Round => drop(round(directory, Retention::default())),
            }
            assert_equal(directory, &records);
        }
    }
}

#[test]
fn sums_are_made_once() {
    let folder = Folder::new("store");
    let parts = parts(5);
    store_of(&folder, &parts);
    round(folder.place(), Retention::default());
    assert_equal(folder.place(), &parts.concat());
    let made = files(folder.place());
    // What was merged has its sums in one segment of the same logs.
    let logs = |path: &PathBuf| path.to_string_lossy().split('.').nth_back(2).map(str::to_owned);
    assert_eq!(made.keys().filter_map(logs).collect::<Vec<_>>(), ["1-5"; 3]);
    round(folder.place(), Retention::default());
    assert_eq!(files(folder.place()), made);
}

/// More keys than are held at once: then there are several rows of some, which readers add up.
#[test]
fn many_keys_take_no_more_memory() {
    let folder = Folder::new("store");
    let many = |from: u64| -> Vec<_> {
        let record =
            |id| FlowRecord { packets: id % 97, ..parts::record(id % 40_000, PAST + id % 60 * SECOND) };
        (from..from + 60_000).map(record).collect()
    };
    let all = [many(0), many(60_000)];
    store_of(&folder, &all);
    round(folder.place(), Retention::default());
    let store = Store::open(folder.place()).expect("a store");
    for table in Table::roll_ups() {
        let (mut sums, mut rows) = ([0, 0], 0);
        for batch in store.snapshot(table).expect("a snapshot").scan(Question::default()) {
            let batch = batch.expect("intact");
            rows += batch.num_rows();
            for (sum, name) in sums.iter_mut().zip(["records", "packets"]) {
                let column = batch.column_by_name(name).expect("a column");
                let numbers =
                    (0..batch.num_rows()).filter_map(|row| number(&value(column, Kind::Number, row)));
                *sum += numbers.sum::<u128>();
            }
        }
        let packets = all.iter().flatten().map(|record| u128::from(record.packets)).sum();
        assert_eq!(sums, [120_000, packets]);
        assert!((40_000..120_000).contains(&rows), "{rows}");
    }
}

#[test]
fn sums_outlive_the_records() {
    let folder = Folder::new("store");
    let parts = parts(3);
    store_of(&folder, &parts);
    let age = Some(Duration::from_secs(1));
    let kept = Retention { age, ..Retention::default() };
    assert_eq!(round(folder.place(), kept), Vec::<String>::new());
    assert!(segments(folder.place()).is_empty());
    assert_equal(folder.place(), &parts.concat());
    // Numbers of logs that have gone are not given again: these records are new ones.
    let more: Vec<_> = (0..50).map(|id| full(id, PAST)).collect();
    Written::open(folder.place()).segment(&more);
    round(folder.place(), kept);
    let all = [parts.concat(), more].concat();
    assert_equal(folder.place(), &all);

    let kept = Retention { age, age_1m: age, ..Retention::default() };
    round(folder.place(), kept);
    let [minutes, hours] = Table::roll_ups();
    assert!(found(folder.place(), minutes).is_empty());
    assert_eq!(found(folder.place(), hours), expected(hours, &all));
}

/// Sums that are kept for a shorter time than the records are not made again and again.
#[test]
fn sums_that_are_too_old_are_not_made() {
    let folder = Folder::new("store");
    let parts = parts(3);
    store_of(&folder, &parts);
    let kept = Retention { age_1m: Some(Duration::from_secs(60)), ..Retention::default() };
    round(folder.place(), kept);
    let [minutes, hours] = Table::roll_ups();
    assert!(found(folder.place(), minutes).is_empty());
    assert_eq!(found(folder.place(), hours), expected(hours, &parts.concat()));
    assert_eq!(segments(folder.place()).len(), 1, "the records are merged all the same");
}

#[test]
fn records_go_first_where_there_is_too_much() {
    let folder = Folder::new("store");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let part = |part: u64| (0..300).map(move |id| full(id * 11 + part, now - (6 - part) * DAY));
    let parts: Vec<Vec<_>> = (0..6).map(|number| part(number).collect()).collect();
    store_of(&folder, &parts);
    round(folder.place(), Retention::default());
    let size = |table| -> u64 {
        segments_of(folder.place(), table).iter().map(|path| fs::metadata(path).expect("a file").len()).sum()
    };
    let [minutes, hours] = Table::roll_ups();
    let sums = size(minutes) + size(hours);
    // There is room for half of the records beside the sums, which have less than their share.
    let bytes = Some((sums + size(Table::flows()) / 2).max(2 * sums));
    round(folder.place(), Retention { bytes, ..Retention::default() });
    let left = segments(folder.place()).len();
    assert!((1..6).contains(&left), "{left}");
    assert_equal(folder.place(), &parts.concat());
    // Without any records the minutes are next, the oldest first.
    let (age, bytes) = (Some(Duration::from_secs(1)), Some(size(hours) + size(minutes) / 2));
    round(folder.place(), Retention { age, bytes, ..Retention::default() });
    assert!(segments(folder.place()).is_empty());
    assert_eq!(found(folder.place(), hours), expected(hours, &parts.concat()));
    let left = found(folder.place(), minutes);
    assert!(
        !left.is_empty() && expected(minutes, &parts[..2].concat()).keys().all(|key| !left.contains_key(key))
    );
}

/// A day whose sums cannot be written: its records stay until they can, however old they are.
#[test]
fn records_stay_until_they_are_summed_up() {
    let folder = Folder::new("store");
    let parts = parts(2);
    store_of(&folder, &parts);
    let blocked = folder.place().join("flows_1h/2023-11-14");
    fs::create_dir_all(folder.place().join("flows_1h")).expect("created");
    std::os::unix::fs::symlink("nowhere", &blocked).expect("in the way");
    let kept = Retention { age: Some(Duration::from_secs(1)), ..Retention::default() };
    let said = round(folder.place(), kept);
    assert!(said.iter().any(|line| line.contains("not summed up yet")), "{said:?}");
    assert_eq!(segments(folder.place()).len(), 2);
    fs::remove_file(&blocked).expect("removed");
    assert_eq!(round(folder.place(), kept), Vec::<String>::new());
    assert!(segments(folder.place()).is_empty());
    assert_equal(folder.place(), &parts.concat());
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[30] ^= 0x10;
    fs::write(path, bytes).expect("written");
}

#[test]
fn what_was_damaged_before_is_not_summed_up_and_what_is_damaged_later_was() {
    let folder = Folder::new("store");
    let parts = parts(3);
    store_of(&folder, &parts);
    flip(&segments(folder.place())[1]);
    let said = round(folder.place(), Retention::default());
    assert!(said.len() == 1 && said[0].contains("not those that were written"), "{said:?}");
    let intact = [parts[0].clone(), parts[2].clone()].concat();
    assert_equal(folder.place(), &intact);
    flip(&segments(folder.place())[0]);
    round(folder.place(), Retention::default());
    assert!(segments(folder.place()).is_empty());
    assert_equal(folder.place(), &intact);
}

#[test]
fn damaged_sums_are_made_again() {
    let folder = Folder::new("store");
    let parts = parts(4);
    store_of(&folder, &parts);
    round(folder.place(), Retention::default());
    for table in Table::roll_ups() {
        flip(&segments_of(folder.place(), table)[0]);
        let said = round(folder.place(), Retention::default());
        assert!(said.len() == 1 && said[0].contains(table.name), "{said:?}");
        assert_equal(folder.place(), &parts.concat());
    }
}
