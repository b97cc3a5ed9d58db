//! What is kept, for how long; small segments that become large ones; and readers meanwhile.

mod parts;

use parts::{PAST, SECOND, Written, ids, record, segments};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_store::{Retention, Store, Table};
use weir_tests::folder::Folder;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64
}

/// The keeper looks at the directory when it is opened, and then every half minute.
fn reopened_until(folder: &Folder, retention: Retention, is_done: impl Fn() -> bool) {
    let store = Written::keeping(folder.place(), retention);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_done() {
        assert!(Instant::now() < deadline, "{:?} {:?}", segments(folder.place()), store.told.try_recv());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn store_of(folder: &Folder, segments: u64, at: impl Fn(u64) -> u64) {
    let mut store = Written::open(folder.place());
    for part in 0..segments {
        store.segment(&(0..100).map(|id| record(part * 100 + id, at(part) + id)).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_too_old_goes() {
    let folder = Folder::new("store");
    store_of(&folder, 6, |part| now() - (6 - part) * 3600 * SECOND);
    let age = Some(Duration::from_secs(3 * 3600 + 1800));
    reopened_until(&folder, Retention { age, ..Retention::default() }, || {
        segments(folder.place()).len() == 3
    });
    assert_eq!(ids(folder.place()), (300..600).collect::<Vec<_>>());
}

#[test]
fn the_oldest_goes_where_there_is_too_much() {
    let folder = Folder::new("store");
    store_of(&folder, 6, |part| now() - (6 - part) * 60 * SECOND);
    let files = segments(folder.place());
    let size = |path: &Path| fs::metadata(path).expect("a segment").len();
    let bytes = Some(files[3..].iter().map(|path| size(path)).sum());
    reopened_until(&folder, Retention { bytes, ..Retention::default() }, || {
        segments(folder.place()).len() == 3
    });
    assert_eq!(segments(folder.place()), files[3..]);
}

#[test]
fn small_segments_become_one_and_no_reader_sees_a_record_twice() {
    let folder = Folder::new("store");
    // Of a day that is over.
    store_of(&folder, 30, |part| PAST + part * SECOND);
    let whole: Vec<_> = (0..3000).collect();
    let look = || {
        assert_eq!(ids(folder.place()), whole);
        segments(folder.place()).len() == 1
    };
    reopened_until(&folder, Retention::default(), look);
    let day = segments(folder.place())[0].parent().expect("a day").to_owned();
    assert_eq!(fs::read_dir(day).expect("a day").count(), 1);
}

#[test]
fn nothing_changes_under_a_reader() {
    let folder = Folder::new("store");
    store_of(&folder, 3, |part| PAST + part * SECOND);
    let store = Store::open(folder.place()).expect("a store");
    let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
    let retention = Retention { age: Some(Duration::from_secs(1)), ..Retention::default() };
    let _keeper = Written::keeping(folder.place(), retention);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(segments(folder.place()).len(), 3);
    drop(snapshot);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !segments(folder.place()).is_empty() {
        assert!(Instant::now() < deadline, "what is too old stays");
        // Let the keeper in.
        std::thread::sleep(Duration::from_millis(50));
    }
}
