//! What an agent that was killed has left open becomes rows of the ledger, with what it held as lost.

use super::file::{self, Written};
use super::marks::Place;
use crate::compact::{Nulls, project};
use crate::recovery::{aside, last_number, publish};
use crate::rows::{flow_records, value};
use crate::store::Store;
use crate::table::Table;
use crate::{Error, Question, Result, Rows, wal};
use arrow_array::{ArrayRef, RecordBatch};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use weir_record::{
    Account, Cause, Count, Direction, Interface, Kind, Layer, LedgerWindow, Observation, Value,
};

/// Network namespace, interface, direction, and whether it is what tunnels carry: an account by its words.
type Point = (String, String, String, bool);

/// Closes the open windows, before anything is done with the logs; what a person should know. Whoever is killed while
/// doing so has either written a row or not, and what was written is not written again.
///
/// # Errors
/// Something cannot be read or written, or is from a later weir.
pub(crate) fn close(store: &Path) -> Result<Vec<String>> {
    let directory = store.join(Table::ledger().name);
    let written = match file::read(&directory) {
        Ok(Some(written)) => written,
        Ok(None) => return Ok(Vec::new()),
        Err(error @ Error::Damaged { .. }) => {
            let said = aside(store, &file::path_of(&directory), &error)?;
            let what = "what the last agent held, and what it had seen in its last minute, is in no ledger";
            return Ok(vec![said, format!("{}: {what}", directory.display())]);
        }
        Err(error) => return Err(error),
    };
    let since = exported_since(store, written.place)?;
    let (start, end) = written.times;
    let there = starts_that_are_there(store, &written)?;
    let mut closing = Closing { start, end, since, rows: Rows::new(Table::ledger()), lost: Count::default() };
    closing.take(&written.rows, &there)?;
    let (rows, lost) = closing.finish(&there)?;
    if rows.num_rows() > 0 {
        let number = last_number(&directory)? + 1;
        publish(Table::ledger(), &directory, number, &[rows], &mut BTreeSet::new())?;
    }
    file::remove(&directory)?;
    let lost = (!there.contains(&start)).then_some(lost);
    Ok(vec![format!("{}: {}", directory.display(), told(lost, end))])
}

/// How much is not known where somebody had come so far before.
fn told(lost: Option<Count>, end: u64) -> String {
    let when = Timestamp::from_nanosecond(end.into()).unwrap_or_default();
    let held = match lost {
        Some(Count { packets, bytes }) => format!("{packets} packets ({bytes} bytes) that it held are lost"),
        None => "what it held is lost".into(),
    };
    let cause = Cause::AgentKilled.as_str();
    format!(
        "the last agent did not stop in order: {held} ({cause} in the ledger); what came after {when:.0} was not \
         counted"
    )
}

/// What was observed of the records that were acknowledged after the books were written down.
fn exported_since(store: &Path, place: Place) -> Result<BTreeMap<Point, (Arc<Interface>, Count)>> {
    let mut sums = BTreeMap::new();
    let flows = Table::flows();
    for log in wal::open_all(&store.join(flows.name))?.into_iter().filter(|log| log.number >= place.log) {
        let found = match log.read(flows) {
            // It is set aside later.
            Err(Error::Damaged { .. }) => continue,
            found => found?,
        };
        let mut before = if log.number == place.log { place.rows as usize } else { 0 };
        for batch in found.batches {
            let passed = before.min(batch.num_rows());
            before -= passed;
            let batch = project(
                flows.schema(),
                &batch.slice(passed, batch.num_rows() - passed),
                &mut Nulls::default(),
            )?;
            for record in flow_records(&batch).flatten() {
                record.observations.iter().for_each(|one| add(&mut sums, one));
            }
        }
    }
    Ok(sums)
}

fn add(sums: &mut BTreeMap<Point, (Arc<Interface>, Count)>, one: &Observation) {
    let Observation { interface, direction, layer, count, .. } = one;
    let point = (
        interface.netns.to_string(),
        interface.name.clone(),
        direction.as_str().to_owned(),
        *layer == Layer::Inner,
    );
    let (latest, sum) = sums.entry(point).or_insert_with(|| (Arc::clone(interface), Count::default()));
    *latest = Arc::clone(interface);
    *sum += *count;
}

/// When those windows began that are rows of the ledger: no two agents begin one in the same nanosecond.
fn starts_that_are_there(store: &Path, written: &Written) -> Result<BTreeSet<u64>> {
    let mut there = BTreeSet::new();
    let starts = times_of(&written.rows, "start").chain([written.times.0]);
    let Some(first) = starts.min() else { return Ok(there) };
    let snapshot = Store::open(store)?.snapshot(Table::ledger())?;
    let question = Question { times: first..=u64::MAX, columns: Some(vec!["start"]), filter: None };
    for batch in snapshot.scan(question) {
        match batch {
            Ok(batch) => there.extend(times_of(&batch, "start")),
            // It is set aside later.
            Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

fn times_of<'b>(batch: &'b RecordBatch, name: &str) -> impl Iterator<Item = u64> + use<'b> {
    let column = batch.column_by_name(name);
    (0..batch.num_rows()).filter_map(move |row| match value(column?, Kind::Time, row) {
        Value::Time(time) => Some(time),
        _ => None,
    })
}

/// Rows on their way into the ledger.
struct Closing {
    start: u64,
    end: u64,
    /// What was exported that the books do not say yet.
    since: BTreeMap<Point, (Arc<Interface>, Count)>,
    rows: Rows,
    lost: Count,
}

impl Closing {
    /// Takes the windows that are not there yet; those that are open are closed.
    fn take(&mut self, written: &RecordBatch, there: &BTreeSet<u64>) -> Result<()> {
        let whole = project(Table::ledger().schema(), written, &mut Nulls::default())?;
        for row in 0..whole.num_rows() {
            let mut found: Vec<_> =
                columns_of(&whole).map(|(column, kind)| value(column, kind, row)).collect();
            let start = match found.first() {
                Some(Value::Time(start)) => *start,
                _ => continue,
            };
            if there.contains(&start) {
                continue;
            }
            if start == self.start {
                self.close(&mut found);
            }
            self.rows.push(found);
        }
        Ok(())
    }

    /// What was held is lost, but for what is in records that came to last.
    fn close(&mut self, row: &mut [Value<'_>]) {
        let since = point_of(row).and_then(|point| self.since.remove(&point));
        let since = since.map_or(Count::default(), |(_, count)| count);
        for (unit, since) in [("packets", since.packets), ("bytes", since.bytes)] {
            let held = take(row, "held", unit);
            // What was in the ring before it was in the counters was seen, and so was what records have beyond what was held.
            let seen = take(row, "ahead", unit).saturating_add(since.saturating_sub(held));
            let lost = held.saturating_sub(since);
            add_to(row, "seen", unit, seen);
            add_to(row, "exported", unit, since);
            add_to(row, "lost", unit, lost);
            add_to(row, "lost_agent_killed", unit, lost);
            let sum = if unit == "packets" { &mut self.lost.packets } else { &mut self.lost.bytes };
            *sum = sum.saturating_add(lost);
        }
    }

    /// All rows, with those of accounts in which nothing had happened before; and what is lost.
    fn finish(mut self, there: &BTreeSet<u64>) -> Result<(RecordBatch, Count)> {
        let since = if there.contains(&self.start) { BTreeMap::new() } else { self.since };
        for ((.., direction, is_inner), (interface, count)) in since {
            let Some(direction) = Direction::ALL.into_iter().find(|one| one.as_str() == direction) else {
                continue;
            };
            let layer = if is_inner { Layer::Inner } else { Layer::Outer };
            let mut added = Account::new(interface, direction, layer);
            (added.seen, added.exported) = (count, count);
            let window = LedgerWindow { start: self.start, end: self.end, added };
            self.rows.push(LedgerWindow::columns().map(|column| (column.read)(&window)));
        }
        Ok((self.rows.batch()?, self.lost))
    }
}

fn columns_of(whole: &RecordBatch) -> impl Iterator<Item = (&ArrayRef, Kind)> {
    whole.columns().iter().zip(Table::ledger().columns.iter().map(|column| column.kind))
}

fn place_of(name: &str) -> Option<usize> {
    Table::ledger().columns.iter().position(|column| column.name == name)
}

fn point_of(row: &[Value<'_>]) -> Option<Point> {
    let text = |name| match row.get(place_of(name)?)? {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    };
    let is_inner = matches!(row.get(place_of("decapsulated")?)?, Value::Flag(true));
    Some((text("netns")?, text("interface")?, text("direction")?, is_inner))
}

fn number<'r, 'v>(row: &'r mut [Value<'v>], name: &str, unit: &str) -> Option<&'r mut Value<'v>> {
    row.get_mut(place_of(&format!("{name}_{unit}"))?)
}

/// What was there; nothing is any more.
fn take(row: &mut [Value<'_>], name: &str, unit: &str) -> u64 {
    match number(row, name, unit).map(|found| std::mem::replace(found, Value::Number(0))) {
        Some(Value::Number(there)) => there,
        _ => 0,
    }
}

fn add_to(row: &mut [Value<'_>], name: &str, unit: &str, more: u64) {
    let sum = take(row, name, unit).saturating_add(more);
    if let Some(found) = number(row, name, unit) {
        *found = Value::Number(sum);
    }
}
