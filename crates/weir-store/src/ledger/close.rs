//! What an agent that was killed has left open becomes rows of the ledger, with what it held as lost.

use super::Word;
use super::file::{self, Written};
use super::marks::Place;
use crate::compact::{Nulls, project};
use crate::error::On;
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
    Account, AccountIdentity, Cause, Count, Direction, Interface, Kind, Layer, LedgerWindow, Observation,
    Value,
};

/// Closes the open windows, before anything is done with the logs; what a person should know. Whoever is killed while
/// doing so has either written a row or not, and what was written is not written again.
///
/// # Errors
/// Something cannot be read or written, or is from a later weir.
pub(crate) fn close(store: &Path, word: Word) -> Result<Vec<String>> {
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
    let found = (word.seen_since)(store, &written.mark).on("close", &file::path_of(&directory))?;
    let is_known = found.is_some();
    let mut came = BTreeMap::new();
    for account in found.into_iter().flatten() {
        came.entry(account.identity()).and_modify(|sum| *sum += &account).or_insert(account);
    }
    let (rows, lost) = (Rows::new(Table::ledger()), Count::default());
    let mut closing = Closing { start, end, since, came, rows, lost };
    closing.take(&written.rows, &there)?;
    let (rows, lost) = closing.finish(&there)?;
    if rows.num_rows() > 0 {
        let number = last_number(&directory)? + 1;
        publish(Table::ledger(), &directory, number, &[rows], &mut BTreeSet::new())?;
    }
    file::remove(&directory)?;
    (word.forget)(store, &written.mark);
    let lost = (!there.contains(&start)).then_some(lost);
    Ok(vec![format!("{}: {}", directory.display(), told(lost, end, is_known))])
}

/// How much is not known where somebody had come so far before.
fn told(lost: Option<Count>, end: u64, is_known: bool) -> String {
    let when = Timestamp::from_nanosecond(end.into()).unwrap_or_default();
    let held = match lost {
        Some(Count { packets, bytes }) => format!("{packets} packets ({bytes} bytes) that it held are lost"),
        None => "what it held is lost".into(),
    };
    let cause = Cause::AgentKilled.as_str();
    let rest = if is_known { String::new() } else { format!("; what came after {when:.0} was not counted") };
    format!("the last agent did not stop in order: {held} ({cause} in the ledger){rest}")
}

/// What was observed of the records that were acknowledged after the books were written down.
fn exported_since(store: &Path, place: Place) -> Result<BTreeMap<AccountIdentity, (Arc<Interface>, Count)>> {
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

fn add(sums: &mut BTreeMap<AccountIdentity, (Arc<Interface>, Count)>, one: &Observation) {
    let Observation { interface, direction, layer, count, .. } = one;
    let identity = (Arc::clone(&interface.netns), interface.name.clone(), *direction, *layer);
    let (latest, sum) = sums.entry(identity).or_insert_with(|| (Arc::clone(interface), Count::default()));
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
    since: BTreeMap<AccountIdentity, (Arc<Interface>, Count)>,
    /// What was seen that the books do not say yet.
    came: BTreeMap<AccountIdentity, Account>,
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
        let identity = identity_of(row);
        let came = identity.as_ref().and_then(|identity| self.came.remove(identity));
        let since = identity
            .and_then(|identity| self.since.remove(&identity))
            .map_or(Count::default(), |(_, count)| count);
        if let Some(came) = &came {
            add_all(row, came);
        }
        for (unit, since) in [("packets", since.packets), ("bytes", since.bytes)] {
            let (mut held, ahead) = (take(row, "held", unit), take(row, "ahead", unit));
            // What was in the ring before it was in the counters was seen. They say so by now, if they are known.
            match &came {
                Some(came) => held = (held + of(kept(came), unit)).saturating_sub(ahead),
                None => add_to(row, "seen", unit, ahead),
            }
            // So was what records have beyond what was held.
            add_to(row, "seen", unit, since.saturating_sub(held));
            let lost = held.saturating_sub(since);
            add_to(row, "exported", unit, since);
            add_to(row, "lost", unit, lost);
            add_to(row, "lost_agent_killed", unit, lost);
            let sum = if unit == "packets" { &mut self.lost.packets } else { &mut self.lost.bytes };
            *sum = sum.saturating_add(lost);
        }
    }

    /// All rows, with those of accounts in which nothing had happened before; and what is lost.
    fn finish(mut self, there: &BTreeSet<u64>) -> Result<(RecordBatch, Count)> {
        if !there.contains(&self.start) {
            for (identity, (interface, count)) in std::mem::take(&mut self.since) {
                let (.., direction, layer) = identity;
                if !self.came.contains_key(&identity) {
                    self.name(direction, count);
                }
                let account = || Account::new(interface, direction, layer);
                self.came.entry(identity).or_insert_with(account).exported += count;
            }
            for added in std::mem::take(&mut self.came).into_values() {
                self.add(added);
            }
        }
        Ok((self.rows.batch()?, self.lost))
    }

    /// What was seen at an interface that nobody had written down yet is in an account without a name, unless a record
    /// knows it.
    fn name(&mut self, direction: Direction, count: Count) {
        let nameless = ("".into(), String::new(), direction, Layer::Outer);
        if let Some(account) = self.came.get_mut(&nameless) {
            account.seen.packets = account.seen.packets.saturating_sub(count.packets);
            account.seen.bytes = account.seen.bytes.saturating_sub(count.bytes);
        }
    }

    /// An account in which nothing had happened before.
    fn add(&mut self, mut added: Account) {
        let (kept, exported) = (kept(&added), added.exported);
        let more = |one: u64, other: u64| one.saturating_sub(other);
        added.seen +=
            Count { packets: more(exported.packets, kept.packets), bytes: more(exported.bytes, kept.bytes) };
        let lost =
            Count { packets: more(kept.packets, exported.packets), bytes: more(kept.bytes, exported.bytes) };
        if added.seen == Count::default() {
            return;
        }
        if lost != Count::default() {
            added.lost.insert(Cause::AgentKilled, lost);
            self.lost += lost;
        }
        let window = LedgerWindow { start: self.start, end: self.end, added };
        self.rows.push(LedgerWindow::columns().map(|column| (column.read)(&window)));
    }
}

/// What of it went into flows.
fn kept(came: &Account) -> Count {
    let mut kept = came.seen;
    for out in [came.filtered, came.sampled_out].iter().chain(came.lost.values()) {
        kept.packets = kept.packets.saturating_sub(out.packets);
        kept.bytes = kept.bytes.saturating_sub(out.bytes);
    }
    kept
}

fn of(count: Count, unit: &str) -> u64 {
    if unit == "packets" { count.packets } else { count.bytes }
}

/// What came later, in its columns.
fn add_all(row: &mut [Value<'_>], came: &Account) {
    for unit in ["packets", "bytes"] {
        add_to(row, "seen", unit, of(came.seen, unit));
        add_to(row, "filtered", unit, of(came.filtered, unit));
        add_to(row, "sampled_out", unit, of(came.sampled_out, unit));
        for (cause, count) in &came.lost {
            add_to(row, "lost", unit, of(*count, unit));
            add_to(row, &format!("lost_{}", cause.as_str()), unit, of(*count, unit));
        }
    }
}

fn columns_of(whole: &RecordBatch) -> impl Iterator<Item = (&ArrayRef, Kind)> {
    whole.columns().iter().zip(Table::ledger().columns.iter().map(|column| column.kind))
}

fn place_of(name: &str) -> Option<usize> {
    Table::ledger().columns.iter().position(|column| column.name == name)
}

fn identity_of(row: &[Value<'_>]) -> Option<AccountIdentity> {
    let text = |name| match row.get(place_of(name)?)? {
        Value::Text(text) => Some(text),
        _ => None,
    };
    let direction =
        Direction::ALL.into_iter().find(|one| Some(one.as_str()) == text("direction").map(|text| &**text))?;
    let is_inner = matches!(row.get(place_of("decapsulated")?)?, Value::Flag(true));
    let layer = if is_inner { Layer::Inner } else { Layer::Outer };
    Some((text("netns")?.as_ref().into(), text("interface")?.to_string(), direction, layer))
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
