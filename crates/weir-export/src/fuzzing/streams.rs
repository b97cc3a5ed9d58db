//! Streams of Arrow, as ClickHouse answers with.

use super::{cut, one_line};
use crate::clickhouse::answer::Answer;
use std::io::{self, Read};
use std::sync::Arc;
use weir_store::{FlowReader, Question, flow_records};

/// What is read: Arrow's `RecordBatch`.
type Batch = <<FlowReader<Answer> as Iterator>::Item as IntoIterator>::Item;

/// What a stream that is whole ends with.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// As much comes at once at most.
const PIECE: usize = 1 << 16;
/// What a row is at least: the time when it ended.
const ROW: usize = 8;

/// Reads the bytes as a stream: the first one says in what pieces it comes, the second one what is asked for, and where it is
/// cut off.
pub fn streams(bytes: &[u8]) {
    let Some((&[size, choice], stream)) = bytes.split_first_chunk() else { return };
    let question = || match choice % 4 {
        0 => Question { columns: Some(vec!["start", "end"]), ..Question::default() },
        1 => {
            let filter = "bytes > 100 or not source_process == null or source_address in 10.0.0.0/8";
            Question { filter: filter.parse().ok().map(Arc::new), ..Question::default() }
        }
        _ => Question::default(),
    };
    let (whole, mistake) = read(stream, PIECE, question());
    assert!(mistake.is_some() || stream.ends_with(&END));
    let rows: usize = whole.iter().map(Batch::num_rows).sum();
    assert!(rows * ROW <= stream.len(), "{rows} rows of {} bytes", stream.len());
    for batch in &whole {
        assert_eq!(flow_records(batch).count(), batch.num_rows());
    }
    // However it comes, it is the same; of a part of it no more is told.
    let (again, same_mistake) = read(stream, usize::from(size) * 4 + 1, question());
    assert!(again == whole && same_mistake.is_some() == mistake.is_some(), "{mistake:?}, {same_mistake:?}");
    let start = cut(stream, choice);
    let (part, mistake) = read(start, PIECE, question());
    assert!(whole.starts_with(&part));
    assert!(mistake.is_some() || start.ends_with(&END));
}

/// The batches of a stream that comes in such pieces, and why there are no more, if that was not all.
fn read(stream: &[u8], size: usize, question: Question) -> (Vec<Batch>, Option<String>) {
    let pieces = Pieces { stream: stream.to_vec(), at: 0, size };
    let answer = Answer::new("ch".into(), move || Ok(pieces)).expect("a thread");
    let (mut reader, mut batches) = (FlowReader::new(answer, question), Vec::new());
    let mistake = loop {
        match reader.next() {
            Some(Ok(batch)) => batches.push(batch),
            Some(Err(error)) => break Some(error.to_string()),
            None => break None,
        }
    };
    assert!(reader.next().is_none(), "there is nothing behind the end");
    mistake.iter().for_each(|mistake| one_line(mistake));
    (batches, mistake)
}

struct Pieces {
    stream: Vec<u8>,
    at: usize,
    size: usize,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = &self.stream[self.at..];
        let count = rest.len().min(self.size).min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is packed, has no bytes or is told once for all rows may become any amount.
    #[test]
    fn nothing_becomes_more_than_has_come() {
        for (name, why) in [
            ("lz4-bomb", "it is compressed"),
            ("zstd-bomb", "it is compressed"),
            ("rows-of-nothing", "it has no column end"),
            ("runs", "end is RunEndEncoded("),
        ] {
            let path = format!("{}/../../fuzz/corpus/streams/{name}", env!("CARGO_MANIFEST_DIR"));
            let file = std::fs::read(path).expect(name);
            let (batches, mistake) = read(&file[2..], PIECE, Question::default());
            let mistake = mistake.expect(name);
            assert!(batches.is_empty() && mistake.contains(why), "{name}: {mistake}");
        }
    }
}
