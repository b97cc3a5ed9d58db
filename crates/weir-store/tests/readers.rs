//! What readers see while records are in a log, in segments, and on their way from one to the other: each once.

mod parts;

use parts::{NOON, PAST, SECOND, Written, ask, ids, record, records};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use weir_record::FlowRecord;
use weir_store::{Question, Store, Table, flow_batch};
use weir_tests::folder::Folder;

const DAY: u64 = 86_400 * SECOND;

#[derive(Debug, Clone)]
enum Step {
    /// So many records, on these days.
    Append(u64, u64),
    Commit,
    Segment,
    /// The agent is killed, and another comes.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u64, 1..4_u64).prop_map(|(count, days)| Step::Append(count, days)),
        4 => Just(Step::Commit),
        2 => Just(Step::Segment),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_seen_once_after_each_step(steps in steps()) {
        let folder = Folder::new("store");
        let mut store = Written::open(folder.place());
        let (mut next, mut acknowledged, mut open) = (0, Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Append(count, days) => {
                    let new: Vec<_> = (next..next + count).map(|id| record(id, PAST + id % days * DAY)).collect();
                    store.writer.append(flow_batch(&new).expect("a batch")).expect("appended");
                    open.extend(next..next + count);
                    next += count;
                }
                Step::Commit => {
                    store.writer.commit().expect("committed");
                    acknowledged.append(&mut open);
                }
                Step::Segment => {
                    store.writer.write_segment().expect("a segment");
                    acknowledged.append(&mut open);
                }
                Step::Restart => {
                    open.clear();
                    drop(store);
                    prop_assert_eq!(ids(folder.place()), acknowledged.clone());
                    store = Written::open(folder.place());
                }
            }
            prop_assert_eq!(ids(folder.place()), acknowledged.clone());
        }
    }
}

/// Adds ten records at a time, makes segments, is killed and comes again; says how many it has acknowledged.
fn writes(directory: &Path, acknowledged: &AtomicU64) {
    let mut store = Written::open(directory);
    for part in 0..200 {
        let new: Vec<_> = (part * 10..part * 10 + 10).map(|id| record(id, PAST + id % 3 * DAY)).collect();
        store.add(&new);
        acknowledged.store(part * 10 + 10, Ordering::SeqCst);
        if part % 7 == 0 {
            store.writer.write_segment().expect("a segment");
        }
        if part % 50 == 49 {
            drop(store);
            store = Written::open(directory);
        }
    }
}

#[test]
fn readers_see_each_once_while_all_goes_on() {
    let folder = Folder::new("store");
    drop(Written::open(folder.place()));
    let (acknowledged, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let read = || {
        while !is_over.load(Ordering::SeqCst) {
            let promised = acknowledged.load(Ordering::SeqCst);
            let found = ids(folder.place());
            assert!(found.iter().copied().eq(0..found.len() as u64), "not each once: {found:?}");
            assert!(found.len() as u64 >= promised, "{} of {promised}", found.len());
            // Let the keeper merge.
            thread::sleep(Duration::from_millis(3));
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        // Readers go on until they are told, also where it fails.
        let written = scope.spawn(|| writes(folder.place(), &acknowledged)).join();
        is_over.store(true, Ordering::SeqCst);
        written.expect("all is written");
        for reader in readers {
            reader.join().expect("no reader saw anything odd");
        }
    });
    assert_eq!(ids(folder.place()).len(), 2000);
}

#[test]
fn a_question_is_asked_of_logs_too() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    store.segment(&records(0..10));
    store.add(&records(10..20));
    let found = |question: Question| {
        let found = ask(folder.place(), question).into_iter();
        // They come in no order.
        found
            .map(|one| one.expect("a record").flow_id)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    let times = NOON + 8 * SECOND..=NOON + 12 * SECOND;
    assert_eq!(found(Question { times: times.clone(), ..Question::default() }), [8, 9, 10, 11, 12]);
    let filter = Some(Arc::new("port in 9,11,15".parse().expect("a filter")));
    assert_eq!(found(Question { filter: filter.clone(), ..Question::default() }), [9, 11, 15]);
    assert_eq!(found(Question { times, filter, columns: None }), [9, 11]);

    let store = Store::open(folder.place()).expect("a store");
    let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
    for columns in [vec!["bytes", "source_address"], Vec::new()] {
        let wanted = columns.len();
        let mut scan = snapshot.scan(Question { columns: Some(columns), ..Question::default() });
        let batches: Vec<_> = scan.by_ref().map(|batch| batch.expect("a batch")).collect();
        assert!(batches.iter().all(|batch| batch.num_columns() == wanted));
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20);
        assert_eq!((scan.progress().segments_read, scan.progress().recent), (1, 10));
    }
}

#[test]
fn what_only_logs_have_comes_with_all_columns() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    let recent = || {
        let store = Store::open(folder.place()).expect("a store");
        store.snapshot(Table::flows()).expect("a snapshot").recent().expect("what is recent")
    };
    assert!(recent().is_empty());
    store.add(&records(0..3));
    store.add(&records(3..5));
    let batches = recent();
    assert!(batches.iter().all(|batch| batch.schema() == *Table::flows().schema()));
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 5);
    store.writer.write_segment().expect("a segment");
    assert!(recent().is_empty());
}

/// The log of a store whose agent went without a word.
fn abandoned(folder: &Folder, parts: &[Vec<FlowRecord>]) -> PathBuf {
    let mut store = Written::open(folder.place());
    parts.iter().for_each(|part| store.add(part));
    folder.place().join("flows/_log/1.log")
}

#[test]
fn an_end_that_was_never_finished_is_no_mishap() {
    let folder = Folder::new("store");
    let log = abandoned(&folder, &[records(0..10), records(10..20)]);
    let whole = fs::read(&log).expect("a log");
    let mut last = 0;
    for length in (0..whole.len()).step_by(41) {
        fs::write(&log, &whole[..length]).expect("written");
        let count = ids(folder.place()).len();
        assert!(count >= last && (count == 0 || count == 10), "{count} of {length} bytes");
        last = count;
    }
}

#[test]
fn a_damaged_log_is_named_and_what_is_intact_is_served() {
    let folder = Folder::new("store");
    let log = abandoned(&folder, &[records(0..10), records(10..20)]);
    let mut bytes = fs::read(&log).expect("a log");
    bytes[100] ^= 1;
    fs::write(&log, &bytes).expect("written");
    let (found, damaged): (Vec<_>, Vec<_>) =
        ask(folder.place(), Question::default()).into_iter().partition(Result::is_ok);
    assert_eq!(found.len(), 10);
    let said = damaged[0].as_ref().expect_err("damaged");
    assert!(damaged.len() == 1 && said.contains("1.log is damaged"), "{said}");
}

/// Some days of a log are in segments and others cannot be: what comes meanwhile is nobody's duplicate.
#[test]
fn a_day_that_cannot_be_written_holds_up_no_other() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    let on =
        |ids: std::ops::Range<u64>| -> Vec<_> { ids.map(|id| record(id, NOON + id % 2 * DAY)).collect() };
    store.add(&on(0..10));
    let blocked = folder.place().join("flows/2100-01-02");
    fs::write(&blocked, "in the way").expect("written");
    store.writer.write_segment().expect_err("in the way");
    assert_eq!(ids(folder.place()), (0..10).collect::<Vec<_>>());
    store.add(&on(10..20));
    store.writer.write_segment().expect_err("in the way");
    assert_eq!(ids(folder.place()), (0..20).collect::<Vec<_>>());
    fs::remove_file(&blocked).expect("removed");
    store.writer.write_segment().expect("segments");
    assert_eq!(ids(folder.place()), (0..20).collect::<Vec<_>>());
    drop(store);
    assert_eq!(Written::open(folder.place()).remarks, Vec::<String>::new());
    assert_eq!(ids(folder.place()), (0..20).collect::<Vec<_>>());
}

#[test]
fn root_reading_needs_no_right_to_write() {
    let folder = Folder::new("store");
    let mount = |arguments: &[&str]| {
        let done = Command::new("mount").args(arguments).arg(folder.place()).status();
        assert!(done.expect("mount is there").success());
    };
    mount(&["-t", "tmpfs", "tmpfs"]);
    abandoned(&folder, &[records(0..10)]);
    mount(&["-o", "remount,ro"]);
    let found = std::panic::catch_unwind(|| ids(folder.place()));
    let _ = Command::new("umount").args(["--lazy"]).arg(folder.place()).status();
    assert_eq!(found.expect("readable"), (0..10).collect::<Vec<_>>());
}
