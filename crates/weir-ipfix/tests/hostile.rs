//! Bytes from anywhere: whatever they are, they are read to their end, and what makes no sense is counted.

#[path = "../../../fuzz/ipfix.rs"]
mod body;
#[path = "../../../fuzz/corpus.rs"]
mod files;

use files::corpus;
use proptest::prelude::*;
use std::sync::LazyLock;
use weir_filter::generate;
use weir_ipfix::{Reader, Writer};
use weir_record::FlowRecord;

/// What others have sent.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| corpus("ipfix", 0));

fn file(records: &[FlowRecord]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &[], 1_700_000_000).expect("in memory");
    records.iter().for_each(|record| writer.write(record).expect("in memory"));
    writer.end().expect("in memory")
}

fn changed(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}

#[test]
fn the_corpus_is_read_whole() {
    assert!(!CORPUS.is_empty());
    for bytes in CORPUS.iter() {
        body::ipfix(bytes);
        let flows: Result<Vec<_>, _> = Reader::new(&bytes[..]).collect();
        assert!(flows.is_ok_and(|flows| !flows.is_empty()));
    }
}

proptest! {
    #[test]
    fn bytes_at_random(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        body::ipfix(&bytes);
    }

    /// With a header, so that more than the header is read.
    #[test]
    fn sets_at_random(mut bytes in prop::collection::vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 16..2000)) {
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[..4].copy_from_slice(&[0, 10, length[0], length[1]]);
        bytes[16..].chunks_mut(40).for_each(|set| if let [_, id, high, low, ..] = set { (*id, *high, *low) = (2 + (*id & 1), 0, 40) });
        body::ipfix(&bytes);
    }

    #[test]
    fn files_with_other_bytes_in_them(
        records in prop::collection::vec(generate::records(), 1..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let bytes = changed(file(&records), &changes);
        body::ipfix(&bytes);
        body::ipfix(&bytes[..end.index(bytes.len())]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn files_of_others_with_other_bytes_in_them(
        file in prop::sample::select(&CORPUS[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let bytes = changed(file, &changes);
        body::ipfix(&bytes);
        body::ipfix(&bytes[..end.index(bytes.len())]);
    }
}
