//! Whatever becomes of a segment's bytes, nothing that was not written is read of it.

use super::checksum::{BLOCK, KEY};
use super::file::SegmentFile;
use super::read::{Question, Segment};
use super::write::Draft;
use crate::store::all_segments;
use crate::table::Table;
use crate::{Error, Result, SchemaVersion, flow_batch};
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use weir_record::{Addresses, Direction, FlowKey, FlowRecord, Interface, InterfaceKind};
use weir_tests::folder::Folder;

/// Noon of 2100-01-01.
const NOON: u64 = 4_102_488_000_000_000_000;
/// Of each row group.
const ROWS: u64 = 3000;
const GROUPS: u64 = 3;

fn record(id: u64) -> FlowRecord {
    let interface = Interface {
        name: "eth0".into(),
        index: 2,
        netns: "1".into(),
        own_netns: true,
        kind: InterfaceKind::Other,
    };
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let addresses = Addresses::V4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::from((mixed >> 40) as u32));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, id as u16)) };
    let blank = FlowRecord::blank(Arc::new(interface), Direction::Egress, key);
    let end = NOON + id * 1_000_000;
    FlowRecord { flow_id: mixed, start: end - (mixed >> 44), end, packets: id, bytes: mixed >> 50, ..blank }
}

fn written(folder: &Folder) -> Segment {
    let mut draft = Draft::begin(Table::flows(), folder.place(), 1..=1).expect("a draft");
    for group in 0..GROUPS {
        let records: Vec<_> = (group * ROWS..(group + 1) * ROWS).map(record).collect();
        draft.push(flow_batch(&records).expect("a batch")).expect("pushed");
        draft.settle().expect("a row group");
    }
    let name = draft.publish().expect("written").expect("rows");
    let path = folder.place().join(name.path());
    Segment { bytes: fs::metadata(&path).expect("a file").len(), path, name }
}

/// All rows; those of some of the time; those of some ports, of which a page has some; one by its address.
fn questions() -> [Question; 4] {
    let filter = |text: &str| Some(Arc::new(text.parse().expect("a filter")));
    let columns = || Some(vec!["flow_id", "end", "bytes", "destination_address"]);
    let (_, address) = record(ROWS + 5).key.addresses().expect("IP");
    [
        Question::default(),
        Question {
            times: NOON + 5_000_000..=NOON + 2_000_000_000,
            columns: columns(),
            ..Question::default()
        },
        Question { filter: filter("destination_port in 100-200"), columns: columns(), ..Question::default() },
        Question { filter: filter(&format!("destination_address == {address}")), ..Question::default() },
    ]
}

/// What was read before anything went wrong, and what did.
fn asked(segment: &Segment, question: &Question) -> (Vec<RecordBatch>, Result<()>) {
    let mut found = Vec::new();
    let mut read = || -> Result<()> {
        for batch in segment.ask(Table::flows(), question)?.1 {
            found.push(batch?);
        }
        Ok(())
    };
    let outcome = read();
    (found, outcome)
}

fn joined(batches: &[RecordBatch]) -> Option<RecordBatch> {
    batches.first().map(|first| concat_batches(&first.schema(), batches).expect("one schema"))
}

/// Asks everything: rows are those of the truth, and all of them where nothing is said; how many questions were refused.
fn assert_no_lies(segment: &Segment, truth: &[RecordBatch], what: &str) -> usize {
    let mut refused = 0;
    for (question, truth) in questions().iter().zip(truth) {
        let (found, outcome) = asked(segment, question);
        let found = joined(&found);
        let rows = found.as_ref().map_or(0, RecordBatch::num_rows);
        if let Some(found) = found {
            assert!(found.columns() == truth.slice(0, rows).columns(), "{what}: other rows");
        }
        match outcome {
            Ok(()) => assert_eq!(rows, truth.num_rows(), "{what}: rows are missing"),
            Err(Error::Damaged { path, .. }) if path == segment.path => refused += 1,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    refused
}

fn truth(segment: &Segment) -> Vec<RecordBatch> {
    let answers = questions().map(|question| {
        let (found, outcome) = asked(segment, &question);
        outcome.expect("readable");
        joined(&found).expect("rows")
    });
    assert_eq!(answers[0].num_rows() as u64, GROUPS * ROWS);
    answers.into()
}

/// Where all values of all columns are.
fn values(segment: &Segment) -> Vec<Range<u64>> {
    let metadata = segment.metadata(Table::flows()).expect("readable");
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    columns.map(|column| column.byte_range()).map(|(start, length)| start..start + length).collect()
}

#[test]
fn no_flipped_bit_becomes_a_row() {
    let folder = Folder::new("sums");
    let segment = written(&folder);
    let (truth, values) = (truth(&segment), values(&segment));
    let bytes = fs::read(&segment.path).expect("a file");
    let key = bytes.windows(KEY.len()).rposition(|window| window == KEY.as_bytes()).expect("a key");
    let known = SegmentFile::open(&segment).expect("a segment").known();
    let covered = known.0.expect("sums").covered as usize;
    assert!(covered > 4 * BLOCK && covered < bytes.len(), "{covered} of {}", bytes.len());
    let file = OpenOptions::new().write(true).open(&segment.path).expect("a file");
    let (ends, keys) = (bytes.len() - 16..bytes.len(), key - 8..key + KEY.len() + 24);
    let places = (0..covered).step_by(397).chain((covered..bytes.len()).step_by(97));
    for (count, at) in places.chain(ends).chain(keys).enumerate() {
        file.write_all_at(&[bytes[at] ^ 1 << (count % 8)], at as u64).expect("written");
        let refused = assert_no_lies(&segment, &truth, &format!("{at}"));
        if at >= covered {
            assert_eq!(refused, questions().len(), "{at} of what it says of itself");
        } else if values.iter().any(|range| range.contains(&(at as u64))) {
            assert!(refused > 0, "{at} of the values");
        }
        assert!(matches!(segment.check(), Err(Error::Damaged { .. })), "{at}");
        file.write_all_at(&[bytes[at]], at as u64).expect("written");
    }
    segment.check().expect("as it was");
}

#[test]
fn no_truncated_file_becomes_rows() {
    let folder = Folder::new("sums");
    let segment = written(&folder);
    let truth = truth(&segment);
    let bytes = fs::read(&segment.path).expect("a file");
    for length in (0..bytes.len()).step_by(9973).chain(bytes.len() - 10..bytes.len()) {
        fs::write(&segment.path, &bytes[..length]).expect("written");
        assert_eq!(assert_no_lies(&segment, &truth, &format!("{length} bytes")), questions().len());
        assert!(matches!(segment.check(), Err(Error::Damaged { .. })), "{length} bytes");
    }
    fs::write(&segment.path, [&bytes[..], b"more"].concat()).expect("written");
    assert_eq!(assert_no_lies(&segment, &truth, "more bytes"), questions().len());
}

#[test]
fn what_was_compared_is_known_to_those_who_open_it_again() {
    let folder = Folder::new("sums");
    let segment = written(&folder);
    let bytes = fs::read(&segment.path).expect("a file");
    let first = SegmentFile::open(&segment).expect("a segment");
    let again = SegmentFile::again(&segment, &first.known()).expect("a segment");
    let length = bytes.len() as u64;
    for range in [5..9, 0..BLOCK as u64 * 2 + 7, 100..length - 3, length - 8..length, 7..7] {
        let part = &bytes[range.start as usize..range.end as usize];
        assert_eq!(again.read(range.clone()).expect("intact"), part, "{range:?}");
        assert_eq!(first.read(range.clone()).expect("intact"), part, "{range:?}");
    }
    assert!(again.read(0..length + 1).is_err());
    // What one has found, the other does not pass over.
    let mut bent = bytes.clone();
    bent[BLOCK * 3] ^= 1;
    fs::write(&segment.path, bent).expect("written");
    let first = SegmentFile::open(&segment).expect("its end is intact");
    let again = SegmentFile::again(&segment, &first.known()).expect("a segment");
    let said = first.read(BLOCK as u64 * 3 + 9..BLOCK as u64 * 3 + 10).expect_err("damaged").to_string();
    assert!(said.contains(&format!("the bytes at {} are not those that were written", BLOCK * 3)), "{said}");
    assert!(again.read(0..9).is_err());
}

/// Segments of before are compared as a whole.
#[test]
fn old_segments_have_their_checksum_in_their_name() {
    let folder = Folder::new("sums");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/histories/version-1/flows");
    for old in all_segments(&kept).expect("segments") {
        old.check().expect("intact");
        let path = folder.place().join(old.name.path());
        fs::create_dir_all(path.parent().expect("a day")).expect("a folder");
        let copy = Segment { path, ..old.clone() };
        let mut bytes = fs::read(&old.path).expect("a file");
        fs::write(&copy.path, &bytes).expect("written");
        let (file, _, version) = copy.open(Table::flows()).expect("readable");
        assert!(!file.has_sums() && version == SchemaVersion::FIRST);
        assert!(copy.batches(Table::flows()).expect("intact").all(|batch| batch.is_ok()));
        for at in (0..bytes.len()).step_by(1009) {
            bytes[at] ^= 8;
            fs::write(&copy.path, &bytes).expect("written");
            assert!(matches!(copy.check(), Err(Error::Damaged { .. })), "{at}");
            // Where its version is another now, it may seem to be a later one's.
            assert!(copy.batches(Table::flows()).is_err(), "{at}");
            bytes[at] ^= 8;
        }
    }
}
