//! The file of open windows.
//!
//! ```text
//! "WEIROPN1" | a frame as in a log: rows of the table `ledger`, and in the metadata of their schema when and where
//! ```

use super::marks::Place;
use crate::error::On;
use crate::segment::sync_directory;
use crate::wal::{Framer, Next, read_frame};
use crate::{Error, Result};
use arrow_array::RecordBatch;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Its name in the table's directory.
pub(crate) const NAME: &str = "_open";
/// One that is written and not yet whole; goes at the next start, as every draft.
const DRAFT: &str = ".open.tmp";
const MAGIC: &[u8; 8] = b"WEIROPN1";
/// The frame is of no log.
const NO_LOG: u64 = 0;
/// Beside these: what only who wrote it understands.
const MARK: &str = "weir.open.mark";
const KEYS: [&str; 4] = ["weir.open.start", "weir.open.end", "weir.open.log", "weir.open.rows"];

/// What is in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// Rows of the ledger, in the order of its columns.
    pub rows: RecordBatch,
    /// When those of them began that are open, and when it was so.
    pub times: (u64, u64),
    /// Up to where the logs of flow records are in them.
    pub place: Place,
    /// What only the agent understands.
    pub mark: String,
}

pub(super) fn path_of(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Replaces it, so that after a loss of power, too, there is the one before or this one.
pub(super) fn write(directory: &Path, written: Written) -> Result<()> {
    let (draft, path) = (directory.join(DRAFT), path_of(directory));
    let bytes = bytes_of(written)?;
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&draft, &path)
    };
    write().on("write", &path)?;
    sync_directory(directory)
}

fn bytes_of(written: Written) -> Result<Vec<u8>> {
    let Written { rows, times: (start, end), place, mark } = written;
    let schema = rows.schema();
    let numbers = [start, end, place.log, place.rows].map(|number| number.to_string());
    let mut said: HashMap<_, _> = KEYS.map(str::to_owned).into_iter().zip(numbers).collect();
    said.insert(MARK.into(), mark);
    let rows = rows.with_schema(Arc::new(schema.as_ref().clone().with_metadata(said)))?;
    let mut bytes = MAGIC.to_vec();
    Framer::default().add(NO_LOG, &rows, &mut bytes)?;
    Ok(bytes)
}

/// Takes it away; it may not be there.
pub(super) fn remove(directory: &Path) -> Result<()> {
    let path = path_of(directory);
    match fs::remove_file(&path) {
        Ok(()) => sync_directory(directory),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).on("remove", &path),
    }
}

/// What it says; none where there is none.
///
/// # Errors
/// It is damaged, or from a later weir.
pub(super) fn read(directory: &Path) -> Result<Option<Written>> {
    let path = path_of(directory);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { what: "read", path, source }),
    };
    match bytes.strip_prefix(MAGIC) {
        Some(frame) => match read_frame(NO_LOG, frame) {
            Next::Batch(rows, length) if length == frame.len() => match said(&rows) {
                Some([start, end, log, before]) => {
                    let mark = rows.schema().metadata().get(MARK).cloned().unwrap_or_default();
                    Ok(Some(Written { rows, times: (start, end), place: Place { log, rows: before }, mark }))
                }
                None => Err(damaged(path, "it does not say when it was written")),
            },
            _ => Err(damaged(path, "it is not as it was written")),
        },
        None if is_later(&bytes) => Err(Error::Later { path, what: "another form of open windows".into() }),
        None => Err(damaged(path, "it does not begin as open windows of the ledger do")),
    }
}

fn said(rows: &RecordBatch) -> Option<[u64; 4]> {
    let schema = rows.schema();
    let mut numbers = [0; 4];
    for (number, key) in numbers.iter_mut().zip(KEYS) {
        *number = schema.metadata().get(key)?.parse().ok()?;
    }
    Some(numbers)
}

fn is_later(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(b"WEIROPN")
        .and_then(<[u8]>::first)
        .is_some_and(|number| (b'2'..=b'9').contains(number))
}

fn damaged(path: PathBuf, what: &str) -> Error {
    Error::Damaged { path, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rows, Table};
    use weir_record::{Account, Count, Direction, Interface, InterfaceKind, Layer, LedgerWindow};
    use weir_tests::folder::Folder;

    fn written(windows: usize) -> Written {
        let (name, netns) = ("eth0".into(), "1".into());
        let interface = Interface { name, index: 2, netns, own_netns: true, kind: InterfaceKind::Physical };
        let mut added = Account::new(Arc::new(interface), Direction::Ingress, Layer::Outer);
        added.held = Count { packets: 3, bytes: 180 };
        let window = LedgerWindow { start: 10, end: 20, added };
        let mut rows = Rows::new(Table::ledger());
        for _ in 0..windows {
            rows.push(LedgerWindow::columns().map(|column| (column.read)(&window)));
        }
        let rows = rows.batch().expect("rows");
        Written { rows, times: (10, 20), place: Place { log: 4, rows: 77 }, mark: "a word".into() }
    }

    #[test]
    fn what_was_written_is_read_and_then_gone() {
        let folder = Folder::new("open");
        assert_eq!(read(folder.place()).expect("no file"), None);
        for windows in [0, 1, 5] {
            write(folder.place(), written(windows)).expect("written");
            let found = read(folder.place()).expect("intact").expect("there");
            assert_eq!((found.times, found.place), ((10, 20), Place { log: 4, rows: 77 }));
            assert_eq!(found.mark, "a word");
            assert_eq!(found.rows.columns(), written(windows).rows.columns());
            assert_eq!(found.rows.num_rows(), windows);
        }
        remove(folder.place()).expect("removed");
        remove(folder.place()).expect("it was gone");
        assert_eq!(read(folder.place()).expect("no file"), None);
    }

    #[test]
    fn what_is_not_whole_is_damaged() {
        let folder = Folder::new("open");
        let whole = bytes_of(written(2)).expect("bytes");
        let refused = |bytes: &[u8]| {
            fs::write(path_of(folder.place()), bytes).expect("a file");
            read(folder.place()).expect_err("it is damaged")
        };
        for end in 0..whole.len() {
            assert!(matches!(refused(&whole[..end]), Error::Damaged { .. }), "cut at {end}");
        }
        for at in (0..whole.len()).filter(|at| *at != MAGIC.len() - 1) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(matches!(refused(&flipped), Error::Damaged { .. }), "flipped at {at}");
        }
        assert!(matches!(refused(&[&whole[..], b"more"].concat()), Error::Damaged { .. }));
        assert!(matches!(refused(b"WEIROPN2 and whatever"), Error::Later { .. }));
    }
}
