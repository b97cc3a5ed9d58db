//! What an agent that is killed leaves of the ledger, and what the next one makes of it.

mod parts;

use parts::{NOON, SECOND, record};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use weir_record::{Account, Cause, Count, Direction, FlowRecord, Kind, Layer, LedgerWindow, Value};
use weir_store::{
    Keeper, OpenLedger, OpenWindows, Opened, Question, Retention, Rows, Store, Table, flow_batch, value,
};
use weir_tests::folder::Folder;

fn open(directory: &Path) -> Opened {
    let tables = vec![Table::flows(), Table::ledger()];
    Keeper::open(directory, tables, Retention::default(), Box::new(drop)).expect("a store")
}

/// Of a packet each, at one point.
fn records(ids: std::ops::Range<u64>) -> Vec<FlowRecord> {
    let seen = |id| {
        let record = record(id, NOON + id * SECOND);
        FlowRecord { observations: record.by_one_point(), ..record }
    };
    ids.map(seen).collect()
}

fn count(packets: u64) -> Count {
    Count { packets, bytes: 60 * packets }
}

/// A window in which so much was seen and exported; the rest of it is held.
fn window(start: u64, end: u64, [seen, exported]: [u64; 2]) -> LedgerWindow {
    let interface = records(0..1).remove(0).interface;
    let mut added = Account::new(Arc::clone(&interface), Direction::Egress, Layer::Outer);
    (added.seen, added.exported, added.held) = (count(seen), count(exported), count(seen - exported));
    LedgerWindow { start, end, added }
}

fn open_windows(window: LedgerWindow, records: u64) -> OpenWindows {
    OpenWindows { times: (window.start, window.end), windows: vec![window], records, mark: String::new() }
}

/// The numbers of each row that are not 0.
fn rows(directory: &Path) -> Vec<BTreeMap<&'static str, u64>> {
    let store = Store::open(directory).expect("a store");
    let snapshot = store.snapshot(Table::ledger()).expect("a snapshot");
    let mut found = Vec::new();
    for batch in snapshot.scan(Question::default()) {
        let batch = batch.expect("readable");
        for row in 0..batch.num_rows() {
            let wanted = Table::ledger()
                .columns
                .iter()
                .filter(|one| one.name.ends_with("packets") || one.name == "start");
            let number = |name| match value(
                batch.column_by_name(name)?,
                if name == "start" { Kind::Time } else { Kind::Number },
                row,
            ) {
                Value::Number(number) | Value::Time(number) if number > 0 => Some((name, number)),
                _ => None,
            };
            found.push(wanted.filter_map(|column| number(column.name)).collect());
        }
    }
    found.sort_by_key(|row: &BTreeMap<_, _>| row.get("start").copied());
    found
}

fn row(start: u64, numbers: &[(&'static str, u64)]) -> BTreeMap<&'static str, u64> {
    numbers.iter().copied().chain([("start", start)]).collect()
}

/// An agent that is killed: the log is there, and nobody has finished anything.
fn killed(
    directory: &Path,
    live: impl FnOnce(&mut weir_store::Writer, &mut weir_store::Writer, &mut OpenLedger),
) {
    let Opened { mut writers, keeper, .. } = open(directory);
    let [flows, ledger] = writers.as_mut_slice() else { panic!("two tables") };
    let mut open = OpenLedger::beside(flows);
    live(flows, ledger, &mut open);
    drop((writers, keeper));
}

fn add(writer: &mut weir_store::Writer, records: &[FlowRecord]) {
    writer.append(flow_batch(records).expect("a batch")).expect("appended");
    writer.commit().expect("committed");
}

/// Records that came to last after the books were written down are exported, be they in a log or in segments by now.
#[test]
fn what_was_acknowledged_since_is_exported_and_the_rest_is_lost() {
    for segments in 0..4 {
        let folder = Folder::new("ledger");
        killed(folder.place(), |flows, _, open| {
            add(flows, &records(0..10));
            if segments & 1 > 0 {
                flows.write_segment().expect("a segment");
            }
            open.write(open_windows(window(NOON, NOON + 9, [50, 10]), 10)).expect("written");
            add(flows, &records(10..17));
            if segments & 2 > 0 {
                flows.write_segment().expect("a segment");
                add(flows, &records(17..20));
            }
        });
        let exported = if segments & 2 > 0 { 20 } else { 17 };
        let lost = 50 - exported;
        let remarks = open(folder.place()).remarks;
        let said = format!("{lost} packets ({} bytes) that it held are lost", 60 * lost);
        assert!(remarks.iter().any(|line| line.contains(&said)), "{remarks:?}");
        assert!(
            remarks.iter().any(|line| line.ends_with("what came after 2100-01-01T12:00:00Z was not counted"))
        );
        let numbers = [
            ("seen_packets", 50),
            ("exported_packets", exported),
            ("lost_packets", lost),
            ("lost_agent_killed_packets", lost),
        ];
        assert_eq!(rows(folder.place()), [row(NOON, &numbers)], "{segments}");
        assert_eq!(parts::ids(folder.place()).len() as u64, exported);
        // All is said once.
        assert_eq!(open(folder.place()).remarks, [""; 0]);
        assert_eq!(rows(folder.place()).len(), 1);
    }
}

/// What records have that is in no books was seen, too.
#[test]
fn records_of_packets_that_nobody_had_written_down_are_seen() {
    let folder = Folder::new("ledger");
    killed(folder.place(), |flows, _, open| {
        open.write(OpenWindows { times: (NOON, NOON), windows: Vec::new(), records: 0, mark: String::new() })
            .expect("written");
        add(flows, &records(0..10));
    });
    open(folder.place());
    assert_eq!(rows(folder.place()), [row(NOON, &[("seen_packets", 10), ("exported_packets", 10)])]);
}

/// A minute that ended is a row once, whether it had come into the table before the kill or not; what was still held is
/// lost in the next.
#[test]
fn a_minute_that_had_ended_is_there_once() {
    for had_lasted in [false, true] {
        let folder = Folder::new("ledger");
        let ended = window(NOON, NOON + 60 * SECOND, [50, 10]);
        killed(folder.place(), |_, ledger, open| {
            open.write(open_windows(window(NOON, NOON + SECOND, [20, 0]), 0)).expect("written");
            let mut next = window(NOON + 60 * SECOND, NOON + 60 * SECOND, [40, 0]);
            next.added.seen = Count::default();
            let (times, windows) = ((next.start, next.end), vec![ended.clone(), next]);
            open.write(OpenWindows { times, windows, records: 10, mark: String::new() }).expect("written");
            if had_lasted {
                let mut rows = Rows::new(Table::ledger());
                rows.push(LedgerWindow::columns().map(|column| (column.read)(&ended)));
                ledger.append(rows.batch().expect("rows")).expect("appended");
                ledger.commit().expect("committed");
            }
        });
        open(folder.place());
        let first = [("seen_packets", 50), ("exported_packets", 10), ("held_packets", 40)];
        let second = [("lost_packets", 40), ("lost_agent_killed_packets", 40)];
        let expected = [row(NOON, &first), row(NOON + 60 * SECOND, &second)];
        assert_eq!(rows(folder.place()), expected, "{had_lasted}");
    }
}

/// Whoever is killed while closing leaves the file, and perhaps the rows.
#[test]
fn closing_twice_is_closing_once() {
    let folder = Folder::new("ledger");
    killed(folder.place(), |flows, _, open| {
        open.write(open_windows(window(NOON, NOON + 9, [50, 10]), 10)).expect("written");
        add(flows, &records(0..5));
    });
    let file = folder.place().join("ledger/_open");
    let left = fs::read(&file).expect("it was written");
    open(folder.place());
    assert!(!file.exists());
    let once = rows(folder.place());
    fs::write(&file, left).expect("it is there again");
    open(folder.place());
    assert_eq!(rows(folder.place()), once);
}

/// It is nothing strange where it is, and damaged it is set aside; from a later weir it is left to that one.
#[test]
fn a_file_that_is_not_understood_is_named() {
    let folder = Folder::new("ledger");
    open(folder.place());
    let file = folder.place().join("ledger/_open");
    fs::write(&file, "what is this").expect("a file");
    let remarks = open(folder.place()).remarks;
    let said = "is damaged: it does not begin as open windows of the ledger do: set aside as";
    assert!(remarks.len() == 2 && remarks[0].contains(said), "{remarks:?}");
    assert!(remarks[1].ends_with("is in no ledger"), "{remarks:?}");
    fs::write(&file, "WEIROPN2").expect("a file");
    let later = Keeper::open(folder.place(), vec![Table::flows()], Retention::default(), Box::new(drop));
    assert!(later.is_err_and(|error| error.to_string().contains("is from a later weir than this one")));
    assert!(file.exists());
}

/// In order nothing is left, and no log either.
#[test]
fn who_stops_in_order_leaves_nothing() {
    let folder = Folder::new("ledger");
    let Opened { mut writers, keeper, .. } = open(folder.place());
    let mut open = OpenLedger::beside(&mut writers[0]);
    open.write(open_windows(window(NOON, NOON + 9, [50, 10]), 0)).expect("written");
    add(&mut writers[0], &records(0..5));
    writers[0].write_segment().expect("a segment");
    let log = || fs::read_dir(folder.place().join("flows/_log")).expect("a directory").count();
    assert_eq!(log(), 1);
    open.finish().expect("finished");
    assert_eq!((log(), folder.place().join("ledger/_open").exists()), (0, false));
    drop((writers, keeper));
    assert_eq!(Cause::AgentKilled.as_str(), "agent_killed");
}
