//! What a store is after something went wrong with its files.

mod parts;

use parts::{NOON, SECOND, Written, ask, ids, record, records, segments, segments_of};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_store::{Error, Keeper, Question, Retention, Store, Table, flow_rows};
use weir_tests::folder::Folder;

/// A store whose agent went without a word: what it has is in its log.
fn abandoned(folder: &Folder, batches: &[std::ops::Range<u64>]) -> PathBuf {
    let mut store = Written::open(folder.place());
    batches.iter().for_each(|ids| store.add(&records(ids.clone())));
    folder.place().join("flows/_log/1.log")
}

fn quarantined(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.place().join("quarantine")).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("written");
}

fn size(path: &Path) -> usize {
    fs::metadata(path).expect("a file").len() as usize
}

#[test]
fn a_log_becomes_a_segment() {
    let folder = Folder::new("store");
    let log = abandoned(&folder, &[0..10, 10..25]);
    assert_eq!(ids(folder.place()), (0..25).collect::<Vec<_>>());
    assert!(segments(folder.place()).is_empty());
    let store = Written::open(folder.place());
    assert_eq!(ids(folder.place()), (0..25).collect::<Vec<_>>());
    assert!(store.remarks[0].contains("25 records recovered"), "{:?}", store.remarks);
    assert!(!log.exists());
}

/// It is compared before it is decoded.
#[test]
fn a_flipped_bit_in_a_footer_is_no_mishap() {
    let folder = Folder::new("store");
    Written::open(folder.place()).segment(&records(0..50));
    let path = segments(folder.place()).remove(0);
    let bytes = fs::read(&path).expect("a segment");
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().expect("four bytes"));
    let begin = bytes.len() - 8 - footer as usize;
    let question = || Question { columns: Some(vec!["flow_id"]), ..Question::default() };
    for at in (begin..bytes.len()).step_by(17) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, damaged).expect("written");
        let store = Store::open(folder.place()).expect("a store");
        let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
        assert!(snapshot.scan(question()).all(|batch| batch.is_err()), "{at}");
        drop(snapshot);
        // A writer sets it aside.
        let remarks = Written::open(folder.place()).close();
        assert!(
            remarks.iter().any(|line| line.contains("is damaged")) && !path.exists(),
            "{at}: {remarks:?}"
        );
        let _ = fs::remove_dir_all(folder.place().join("quarantine"));
    }
}

#[test]
fn a_segment_of_another_table_is_set_aside() {
    let folder = Folder::new("store");
    let mut store = Written::summing(folder.place(), Retention::default());
    store.segment(&records(0..50));
    store.segment(&records(50..100));
    drop(store);
    // In the place of the second one are its sums.
    let of = |table| segments_of(folder.place(), table);
    let (own, other) = (of(Table::flows()).remove(1), of(&Table::roll_ups()[0]).remove(1));
    fs::copy(&other, own.with_file_name(other.file_name().expect("a name"))).expect("copied");
    fs::remove_file(own).expect("removed");
    let found = ask(folder.place(), Question::default());
    let wrong: Vec<_> = found.iter().filter_map(|record| record.as_ref().err()).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("it is no segment of flows"), "{wrong:?}");
    let store = Written::open(folder.place());
    assert!(
        store.remarks.iter().any(|line| line.contains("it is no segment of flows")),
        "{:?}",
        store.remarks
    );
    assert_eq!(ids(folder.place()), (0..50).collect::<Vec<_>>());
}

/// The row groups of a log's segment are as large as any's, however many frames it had.
#[test]
fn many_frames_become_one_row_group() {
    let folder = Folder::new("store");
    let frames: Vec<_> = (0..40).map(|frame| frame * 2000..(frame + 1) * 2000).collect();
    abandoned(&folder, &frames);
    let store = Written::open(folder.place());
    assert!(store.remarks[0].contains("80000 records recovered"), "{:?}", store.remarks);
    let store = Store::open(folder.place()).expect("a store");
    let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
    let groups: Vec<_> = snapshot
        .segments()
        .iter()
        .map(|one| one.metadata(Table::flows()).expect("readable").num_row_groups())
        .collect();
    // It goes on past midnight.
    assert_eq!(groups, [1, 1]);
}

/// Its batches have all columns, each as long as readers know it, and it begins otherwise.
#[test]
fn a_log_of_the_version_before_becomes_a_segment() {
    let folder = Folder::new("store");
    let records: Vec<_> = (0..25).map(|id| record(id, NOON + id)).collect();
    let mut store = Written::open(folder.place());
    let whole = flow_rows(Table::flows().schema(), &records.iter().collect::<Vec<_>>()).expect("rows");
    store.writer.append(whole).expect("appended");
    store.writer.commit().expect("committed");
    drop(store);
    let log = folder.place().join("flows/_log/1.log");
    let mut bytes = fs::read(&log).expect("a log");
    bytes[..8].copy_from_slice(b"WEIRLOG1");
    fs::write(&log, bytes).expect("a log");
    assert_eq!(ids(folder.place()), (0..25).collect::<Vec<_>>());
    let store = Written::open(folder.place());
    assert!(store.remarks[0].contains("25 records recovered"), "{:?}", store.remarks);
    assert_eq!(ids(folder.place()), (0..25).collect::<Vec<_>>());
}

#[test]
fn records_of_two_days_go_to_two_segments() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    store.segment(&[record(1, NOON), record(2, NOON + 43_200 * SECOND), record(3, NOON + 43_199 * SECOND)]);
    let days: Vec<_> =
        segments(folder.place()).iter().map(|path| path.parent().map(Path::to_owned)).collect();
    assert_eq!(days.len(), 2);
    assert_ne!(days[0], days[1]);
    assert_eq!(ids(folder.place()), [1, 2, 3]);
}

#[test]
fn a_log_whose_segment_is_there_adds_nothing() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    store.add(&[record(1, NOON), record(2, NOON + 86_400 * SECOND)]);
    let log = folder.place().join("flows/_log/1.log");
    let kept = fs::read(&log).expect("a log");
    store.writer.write_segment().expect("a segment");
    drop(store);
    // As if the agent had been killed between the first segment and the second.
    fs::remove_file(&segments(folder.place())[1]).expect("removed");
    fs::write(&log, kept).expect("written");
    drop(Written::open(folder.place()));
    assert_eq!(ids(folder.place()), [1, 2]);
}

#[test]
fn an_end_that_was_never_finished_is_cut() {
    let folder = Folder::new("store");
    let log = abandoned(&folder, &[0..10, 10..20]);
    let file = fs::OpenOptions::new().write(true).open(&log).expect("a log");
    file.set_len(size(&log) as u64 - 7).expect("cut");
    let store = Written::open(folder.place());
    assert_eq!(ids(folder.place()), (0..10).collect::<Vec<_>>());
    assert!(store.remarks[0].contains("had not finished are gone"), "{:?}", store.remarks);
    assert!(quarantined(&folder).is_empty());
}

#[test]
fn a_damaged_log_gives_what_is_intact() {
    for at in [8, 13, 17, 25, 300] {
        let folder = Folder::new("store");
        let log = abandoned(&folder, &[0..10, 10..20, 20..30]);
        flip(&log, at);
        let store = Written::open(folder.place());
        assert_eq!(ids(folder.place()), (10..30).collect::<Vec<_>>(), "byte {at}");
        assert!(store.remarks[0].contains("1.log is damaged"), "{:?}", store.remarks);
        assert_eq!(quarantined(&folder), ["flows__log_1.log"]);
    }
}

#[test]
fn what_is_no_log_inside_is_set_aside() {
    let folder = Folder::new("store");
    let log = abandoned(&folder, &[0..5, 5..10]);
    flip(&log, 0);
    let store = Written::open(folder.place());
    assert!(store.remarks[0].contains("does not begin as a log does"), "{:?}", store.remarks);
    assert_eq!(quarantined(&folder), ["flows__log_1.log"]);
}

#[test]
fn a_damaged_segment_is_set_aside_and_the_others_are_served() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    (0..4).for_each(|part| store.segment(&records(part * 10..part * 10 + 10)));
    drop(store);
    let files = segments(folder.place());
    // The end is gone; then a byte of the values is another.
    fs::OpenOptions::new().write(true).open(&files[0]).expect("a file").set_len(100).expect("cut");
    flip(&files[2], 30);
    let damaged = ask(folder.place(), Question::default()).into_iter().filter_map(Result::err);
    assert!(damaged.into_iter().any(|said| said.contains("120000-120009") && said.contains("damaged")));
    let store = Written::open(folder.place());
    assert!(store.remarks[0].contains("120000-120009"), "{:?}", store.remarks);
    let told = store.told.recv_timeout(Duration::from_secs(20)).expect("told");
    assert!(
        told.contains("120020-120029") && told.contains("the bytes at 0 are not those that were written"),
        "{told}"
    );
    assert_eq!(ids(folder.place()), (10..20).chain(30..40).collect::<Vec<_>>());
    assert_eq!(quarantined(&folder).len(), 2);
}

#[test]
fn what_is_not_the_stores_is_named_and_set_aside() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    store.segment(&records(0..3));
    drop(store);
    let day = segments(folder.place())[0].parent().expect("a day").to_owned();
    let strangers = [
        day.join("notes.txt"),
        folder.place().join("flows/mine.parquet"),
        folder.place().join("flows/_log/x.log"),
    ];
    strangers.iter().for_each(|path| fs::write(path, "mine").expect("written"));
    fs::write(folder.place().join("flows/.5-5.tmp"), "half").expect("written");
    let store = Written::open(folder.place());
    for path in &strangers {
        let line = format!("{} is not the store's: set aside as ", path.display());
        assert!(store.remarks.iter().any(|remark| remark.starts_with(&line)), "{line}: {:?}", store.remarks);
        assert!(!path.exists());
    }
    assert_eq!(quarantined(&folder).len(), 3);
    assert!(!folder.place().join("flows/.5-5.tmp").exists());
    assert_eq!(ids(folder.place()), [0, 1, 2]);
}

/// They are read where they lay once, and brought to where they lie now.
#[test]
fn logs_of_an_older_weir_move() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    store.add(&records(0..3));
    drop(store);
    let flows = folder.place().join("flows");
    fs::rename(flows.join("_log"), flows.join("log")).expect("moved");
    assert_eq!(ids(folder.place()), [0, 1, 2]);
    let store = Written::open(folder.place());
    assert!(store.remarks.iter().any(|remark| remark.contains("3 records recovered")), "{:?}", store.remarks);
    assert!(flows.join("_log").is_dir() && !flows.join("log").exists());
    assert_eq!(ids(folder.place()), [0, 1, 2]);
}

#[test]
fn what_a_merged_segment_was_made_of_is_not_shown_and_goes() {
    let folder = Folder::new("store");
    let mut store = Written::open(folder.place());
    store.segment(&records(0..3));
    store.segment(&records(3..6));
    drop(store);
    // As if a merge had been cut short: one stands for both, and both are there.
    let files = segments(folder.place());
    let other = Folder::new("store");
    let mut merged = Written::open(other.place());
    merged.segment(&records(0..6));
    drop(merged);
    let made = segments(other.place()).remove(0);
    let name = made.file_name().expect("a name").to_string_lossy().replace(".1-1.", ".1-2.");
    fs::copy(&made, files[0].with_file_name(name)).expect("copied");
    assert_eq!(ids(folder.place()), (0..6).collect::<Vec<_>>());
    let store = Written::open(folder.place());
    assert_eq!((segments(folder.place()).len(), store.remarks.len()), (1, 0));
    assert!(files.iter().all(|path| !path.exists()));
    assert_eq!(ids(folder.place()), (0..6).collect::<Vec<_>>());
}

#[test]
fn a_second_writer_is_refused() {
    let folder = Folder::new("store");
    let _first = Written::open(folder.place());
    let again = Keeper::open(folder.place(), vec![Table::flows()], Retention::default(), Box::new(drop));
    let Err(error @ Error::Taken { .. }) = again.map(drop) else { panic!("taken twice") };
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}
