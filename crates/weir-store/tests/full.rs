//! A disk that is full.

mod parts;

use parts::{NOON, SECOND, Written, ids, record};
use weir_record::FlowRecord;
use weir_store::{Retention, WhenFull, flow_batch};
use weir_tests::disk::Disk;
use weir_tests::folder::Folder;

fn part(number: u64) -> Vec<FlowRecord> {
    (0..5000)
        .map(|id| number * 5000 + id)
        .map(|id| FlowRecord { packets: id * id, ..record(id, NOON + id * SECOND / 100) })
        .collect()
}

/// Writes until there are 40 parts, and says which were acknowledged.
fn filled(disk: &Disk, when_full: WhenFull) -> Vec<u64> {
    let mut store = Written::keeping(disk.place(), Retention { when_full, ..Retention::default() });
    let mut acknowledged = Vec::new();
    for number in 0..40 {
        let batch = flow_batch(&part(number)).expect("a batch");
        if store.writer.append(batch).and_then(|()| store.writer.commit()).is_ok() {
            acknowledged.push(number);
        }
        // What cannot be written now is in the log.
        let _ = store.writer.write_segment();
    }
    acknowledged
}

fn ids_of(parts: &[u64]) -> Vec<u64> {
    parts.iter().flat_map(|number| number * 5000..(number + 1) * 5000).collect()
}

#[test]
fn root_the_oldest_make_room() {
    let folder = Folder::new("store");
    let disk = Disk::of(&folder, "2m");
    let acknowledged = filled(&disk, WhenFull::DropOldest);
    assert_eq!(acknowledged, (0..40).collect::<Vec<_>>());
    drop(Written::open(disk.place()));
    let found = ids(disk.place());
    let first = found[0] / 5000;
    assert!(first > 0, "the disk was never full");
    assert_eq!(found, ids_of(&(first..40).collect::<Vec<_>>()));
}

#[test]
fn root_nothing_is_written_where_nothing_may_go() {
    let folder = Folder::new("store");
    let disk = Disk::of(&folder, "2m");
    let acknowledged = filled(&disk, WhenFull::Stop);
    assert!((1..40).contains(&acknowledged.len()), "{acknowledged:?}");
    // With more room what is in the log becomes a segment, too.
    disk.resize("16m");
    drop(Written::open(disk.place()));
    assert_eq!(ids(disk.place()), ids_of(&acknowledged));
}
