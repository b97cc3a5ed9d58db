use super::*;
use proptest::prelude::*;
use std::time::Duration;
use weir_filter::generate;
use weir_tests::folder::Folder;

const ROOM: u64 = 1 << 30;

/// What of a record is compared: it tells them apart.
fn ids(records: &[FlowRecord]) -> Vec<u64> {
    let mut ids: Vec<_> = records.iter().map(|record| record.flow_id).collect();
    ids.sort_unstable();
    ids
}

fn record(number: u64) -> FlowRecord {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut record = generate::records().new_tree(&mut runner).expect("a record").current();
    record.flow_id = number;
    record
}

fn path(folder: &Folder) -> PathBuf {
    folder.path("spool").into()
}

fn all(spool: &mut Spool) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(records) = spool.first().expect("it can be read") {
        all.extend(ids(&records));
        spool.take().expect("it can be noted");
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    /// Whatever is added and taken in whatever order, and however often it is opened anew: it comes out in the order
    /// in which it went in, each once.
    #[test]
    fn first_in_first_out(steps in prop::collection::vec((0_u8..4, prop::collection::vec(generate::records(), 1..4)), 1..30)) {
        let folder = Folder::new("spool");
        let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
        let mut expected = VecDeque::new();
        for (what, records) in steps {
            match what {
                0 | 1 => {
                    prop_assert!(spool.add(&records).expect("it can be written"));
                    expected.push_back(ids(&records));
                }
                2 => {
                    let first = spool.first().expect("it can be read");
                    prop_assert_eq!(first.as_deref().map(ids), expected.pop_front());
                    spool.take().expect("it can be noted");
                }
                _ => {
                    drop(spool);
                    spool = Spool::open(&path(&folder), ROOM).expect("a spool");
                }
            }
            let waiting: usize = expected.iter().map(Vec::len).sum();
            prop_assert_eq!(spool.records(), waiting as u64);
            prop_assert_eq!(spool.is_empty(), waiting == 0);
        }
        prop_assert_eq!(all(&mut spool), Vec::from(expected).concat());
        prop_assert_eq!(fs::read_dir(path(&folder)).expect("there").count(), 0);
    }

    /// Wherever it is cut off and whatever is written over it: it opens, and what comes out went in.
    #[test]
    fn damage_takes_what_it_hits(cut in 0_usize..4000, flip in 16_usize..4000) {
        let folder = Folder::new("spool");
        let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
        let records: Vec<_> = (0..6).map(record).collect();
        for one in &records {
            spool.add(std::slice::from_ref(one)).expect("it can be written");
        }
        drop(spool);
        let file = path(&folder).join("4294967296.spool");
        let mut bytes = fs::read(&file).expect("there");
        let (cut, length) = (bytes.len().saturating_sub(cut), bytes.len());
        bytes[flip % length] ^= 0x55;
        bytes.truncate(cut);
        fs::write(&file, bytes).expect("written");
        let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
        let found = all(&mut spool);
        let known = ids(&records);
        prop_assert!(found.iter().all(|id| known.contains(id)));
        prop_assert!(spool.add(&records).expect("it goes on"));
        prop_assert_eq!(all(&mut spool).len(), 6);
    }
}

#[test]
fn no_more_than_there_is_room_for() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), 20_000).expect("a spool");
    let count = (0..100).take_while(|number| spool.add(&[record(*number)]).expect("written")).count();
    assert!((1..100).contains(&count), "{count}");
    assert!(spool.bytes() <= 20_000);
    assert_eq!(spool.records(), count as u64);
    assert_eq!(all(&mut spool).len(), count);
    assert!(spool.add(&[record(1)]).expect("written"));
}

/// What was read but not taken comes again.
#[test]
fn taken_is_what_was_taken() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
    for number in 0..3 {
        spool.add(&[record(number)]).expect("written");
    }
    spool.first().expect("read");
    spool.take().expect("noted");
    spool.first().expect("read");
    drop(spool);
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
    assert_eq!(all(&mut spool), [1, 2]);
}

/// What comes before others does, after a restart, too.
#[test]
fn some_come_first() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
    spool.add(&[record(3)]).expect("written");
    spool.first().expect("read");
    spool.add_first(&[record(2)]).expect("written");
    spool.add_first(&[record(1)]).expect("written");
    spool.add(&[record(4)]).expect("written");
    drop(spool);
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
    assert_eq!(all(&mut spool), [1, 2, 3, 4]);
    spool.add_first(&[record(5)]).expect("written");
    assert_eq!(all(&mut spool), [5]);
}

/// Damage while it waits is counted, to the record.
#[test]
fn damage_is_counted() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool");
    for number in 0..3 {
        spool.add(&[record(number), record(number + 10)]).expect("written");
    }
    let file = path(&folder).join("4294967296.spool");
    let mut bytes = fs::read(&file).expect("there");
    bytes[40] ^= 1;
    fs::write(&file, bytes).expect("written");
    assert_eq!(all(&mut spool).len(), 4);
    assert_eq!(spool.damaged(), 2);
}

/// Whoever takes whole files gets the same ones each time, also after a restart, however much comes meanwhile.
#[test]
fn a_file_that_was_looked_at_stays_as_it_is() {
    let folder = Folder::new("spool");
    let open = || Spool::open(&path(&folder), ROOM).expect("a spool").of_files(1 << 20);
    let first = |spool: &mut Spool| spool.first_file().expect("it can be read").as_deref().map(ids);
    let mut spool = open();
    assert!(!spool.is_ripe(Duration::ZERO) && first(&mut spool).is_none());
    for number in 0..3 {
        assert!(spool.add(&[record(number)]).expect("it can be written"));
    }
    assert!(spool.is_ripe(Duration::ZERO) && !spool.is_ripe(Duration::from_secs(3600)));
    assert_eq!(first(&mut spool), Some(vec![0, 1, 2]));
    assert!(spool.add(&[record(3)]).expect("it can be written"));
    assert_eq!(first(&mut spool), Some(vec![0, 1, 2]));
    drop(spool);
    let mut spool = open();
    assert!(spool.add(&[record(4)]).expect("it can be written"));
    for expected in [vec![0, 1, 2], vec![3]] {
        // They get nothing more: how long ago they were begun is of no matter.
        assert!(spool.is_ripe(Duration::from_secs(3600)));
        assert_eq!(first(&mut spool), Some(expected));
        spool.take_file().expect("it can be removed");
    }
    assert!(!spool.is_ripe(Duration::from_secs(3600)));
    assert_eq!((first(&mut spool), spool.records(), spool.damaged()), (Some(vec![4]), 1, 0));
    spool.take_file().expect("it can be removed");
    assert_eq!((first(&mut spool), spool.is_empty()), (None, true));
}

/// What cannot be read of a file is counted once, however often the rest is looked at.
#[test]
fn damage_in_a_whole_file_is_counted() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool").of_files(1 << 20);
    let mut ends = vec![HEADER];
    for number in 0..3 {
        assert!(spool.add(&[record(number)]).expect("it can be written"));
        ends.push(spool.bytes());
    }
    let file = path_of(&path(&folder), FIRST);
    let mut bytes = fs::read(&file).expect("it is there");
    let middle = (ends[1] + ends[2]) / 2;
    bytes[middle as usize] ^= 1;
    fs::write(&file, bytes).expect("it can be written");
    for _ in 0..2 {
        assert_eq!(spool.first_file().expect("it can be read").as_deref().map(ids), Some(vec![0, 2]));
    }
    spool.take_file().expect("it can be removed");
    assert_eq!((spool.damaged(), spool.is_empty()), (1, true));
}

/// However long a file may be, one can be taken before there is no room left.
#[test]
fn a_file_is_ripe_before_there_is_no_room() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), 8 << 10).expect("a spool").of_files(1 << 20);
    let (mut taken, hour) = (0, Duration::from_secs(3600));
    for number in 0..200 {
        assert!(spool.add(&[record(number)]).expect("it can be written"), "{number}");
        while spool.is_ripe(hour) {
            taken += spool.first_file().expect("it can be read").expect("it is ripe").len();
            spool.take_file().expect("it can be removed");
        }
    }
    assert!(taken > 100, "{taken}");
}

/// Also where the ones before it were of no use.
#[test]
fn the_last_file_stays_as_it_was_looked_at() {
    let folder = Folder::new("spool");
    let mut spool = Spool::open(&path(&folder), ROOM).expect("a spool").of_files(1);
    assert!(spool.add(&[record(0)]).expect("it can be written"));
    let mut spool = spool.of_files(1 << 20);
    // The first one is long enough for what was asked then.
    spool.close_first().expect("it lasts");
    assert!(spool.add(&[record(1)]).expect("it can be written"));
    fs::remove_file(path_of(&path(&folder), FIRST)).expect("it is there");
    let first = |spool: &mut Spool| spool.first_file().expect("it can be read").as_deref().map(ids);
    assert_eq!(first(&mut spool), Some(vec![1]));
    assert!(spool.add(&[record(2)]).expect("it can be written"));
    assert_eq!(first(&mut spool), Some(vec![1]));
}
