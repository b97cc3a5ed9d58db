//! Stores of objects, and directories: a file of Parquet for what has been collected of a day.
//!
//! ```text
//! PREFIX/flows/day=2026-11-27/host=NAME/081500-081600.5f0c93a1b3100f2e.parquet
//! ```
//! Days are UTC, by `end`, as in the history, and so is the first word of a name: from when to when records ended. The
//! second one is of what is in it, so that what is stored once more is stored in its own place.

mod place;
pub mod refusal;

pub use place::{Bucket, Kept, Key, Provider};

use crate::host;
use crate::ids;
use crate::peer::{Gather, Peer, Sent, Silence};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use weir_record::{Field, FlowRecord};
use weir_store::FlowFile;

/// For an object to be taken, beside the time that a slow line needs for it. Whoever needs longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// A megabit a second is slow, and not away.
const BYTES_A_SECOND: u64 = 1 << 17;
/// The table, as the history calls it.
const TABLE: &str = "flows";
/// What readers of such folders take for no value.
const NOBODY: &str = "__HIVE_DEFAULT_PARTITION__";

/// A store.
pub struct Objects {
    kept: Kept,
    gather: Gather,
    file: FlowFile,
    host: String,
    open: Option<(Runtime, Arc<dyn ObjectStore>)>,
}

impl Objects {
    /// There, so much at once, of these fields, or all.
    pub fn new(kept: Kept, gather: Gather, fields: &[&'static Field]) -> Self {
        let host = host::name().unwrap_or_else(|| NOBODY.into());
        Self { kept, gather, file: FlowFile::new(fields), host, open: None }
    }

    /// What an object of records of one day is called, those first that ended first.
    fn path(&self, records: &[&FlowRecord]) -> Path {
        let time = |record: Option<&&FlowRecord>| record.map_or(DateTime::default(), |record| ended(record));
        let (first, last) = (time(records.first()), time(records.last()));
        let id = ids::sum(records.iter().copied());
        let name = format!("{}-{}.{id:016x}.parquet", first.strftime("%H%M%S"), last.strftime("%H%M%S"));
        let names = [TABLE.into(), format!("day={}", first.date()), format!("host={}", self.host), name];
        names.into_iter().fold(self.kept.prefix(), |path, name| path.join(name))
    }

    fn put(&self, path: &Path, file: Vec<u8>) -> io::Result<()> {
        let Some((runtime, store)) = &self.open else { return Err(ErrorKind::NotConnected.into()) };
        let patience = PATIENCE + Duration::from_secs(file.len() as u64 / BYTES_A_SECOND);
        let put = store.put(path, PutPayload::from(file));
        // The clock is the runtime's: it must be asked for within.
        match runtime.block_on(async { timeout(patience, put).await }) {
            Ok(Ok(_)) => self.kept.make_last(path),
            Ok(Err(error)) => Err(refusal::told(&error)),
            Err(_) => Err(io::Error::other(format!("it does not answer within {} s", patience.as_secs()))),
        }
    }
}

impl Peer for Objects {
    /// Reads the files anew that say who we are.
    fn connect(&mut self) -> io::Result<()> {
        self.disconnect();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let store =
            self.kept.make().and_then(|()| self.kept.open()).map_err(|error| self.kept.about(&error))?;
        self.open = Some((runtime, store));
        Ok(())
    }

    /// Nothing is refused for good: what is wrong with a bucket or a right can be mended, and records wait until then.
    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let mut sent = Sent { answer: Some("the store has it".into()), ..Sent::default() };
        for records in by_day(records).values() {
            let file = self.file.write(records).map_err(io::Error::other)?;
            sent.bytes += file.len();
            self.put(&self.path(records), file).map_err(|error| self.kept.about(&error))?;
        }
        Ok(sent)
    }

    fn disconnect(&mut self) {
        if let Some((runtime, _)) = self.open.take() {
            // DNS that does not answer is not waited for.
            runtime.shutdown_background();
        }
    }

    fn silence(&self) -> Silence {
        Silence::None
    }

    fn gather(&self) -> Option<Gather> {
        Some(self.gather)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// Of each day those that ended in it, in that order.
fn by_day(records: &[FlowRecord]) -> BTreeMap<jiff::civil::Date, Vec<&FlowRecord>> {
    let mut days: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in records {
        days.entry(ended(record).date()).or_default().push(record);
    }
    // The same for the same records, in whatever order they are.
    days.values_mut().for_each(|day| day.sort_by_key(|record| (record.end, record.start, record.flow_id)));
    days
}

/// When, in UTC. Every time that a record has room for is one of the calendar's.
fn ended(record: &FlowRecord) -> DateTime {
    let time = Timestamp::from_nanosecond(i128::from(record.end)).unwrap_or_default();
    TimeZone::UTC.to_datetime(time)
}
