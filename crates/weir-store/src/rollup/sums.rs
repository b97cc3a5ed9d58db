//! Rows that are added up on their way into a segment, in as much memory as is set aside for it.

use super::{How, Measure, key_columns, measures};
use crate::segment::{Draft, Logs, times};
use crate::table::{Column, Table};
use crate::{Result, Rows};
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use std::collections::HashMap;
use std::path::Path;
use weir_record::{Kind, Value};

/// Sums that are held at most, about 600 bytes each. When there are more, all of them are written, and those that come
/// again are rows of their own.
const MOST: usize = 32 << 10;

/// A segment of sums on its way.
pub(crate) struct Sums {
    table: &'static Table,
    /// The table whose rows are added up: records, or sums of the same table.
    from: &'static Table,
    span: u64,
    key: Vec<Column>,
    /// By what [`Sums::enter_key`] writes.
    groups: HashMap<Vec<u8>, Group>,
    draft: Draft,
}

/// What rows add up to: a number for each measure, and a bit for each that is there.
#[derive(Default)]
struct Group {
    there: u64,
    numbers: Vec<u64>,
}

/// The columns of records, or of sums, that sums in this table are made of.
pub(crate) fn columns_of(from: &'static Table) -> Vec<&'static str> {
    let measures = measures().map(|measure| source(from, measure).0);
    let mut names: Vec<_> =
        std::iter::once(from.time).chain(key_columns().map(|column| column.name)).chain(measures).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Which column a measure is made of, and how.
fn source(from: &Table, measure: &Measure) -> (&'static str, How) {
    match (from.span, measure.how) {
        (None, how) => (measure.of, how),
        (Some(_), How::Count) => (measure.name, How::Sum),
        (Some(_), how) => (measure.name, how),
    }
}

impl Sums {
    /// Begins a segment of `table` in its directory, of rows that are in these logs of `from`.
    pub fn begin(table: &'static Table, from: &'static Table, directory: &Path, logs: Logs) -> Result<Self> {
        let draft = Draft::begin(table, directory, logs)?;
        let span = table.span.unwrap_or(1);
        Ok(Self { table, from, span, key: key_columns().collect(), groups: HashMap::new(), draft })
    }

    /// Adds rows, all of one day.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let times = times(self.from, batch)?;
        let key: Vec<_> = self.key.iter().map(|column| Input::of(batch, column.name)).collect();
        let measures: Vec<_> = measures()
            .map(|measure| source(self.from, measure))
            .map(|(name, how)| (Input::of(batch, name), how))
            .collect();
        let mut written = Vec::new();
        for (row, time) in times.iter().enumerate() {
            enter_key(*time as u64 / self.span * self.span, &key, row, &mut written);
            if let Some(group) = self.groups.get_mut(written.as_slice()) {
                group.add(&measures, row);
                continue;
            }
            if self.groups.len() >= MOST {
                self.spill()?;
            }
            let mut group = Group { there: 0, numbers: vec![0; measures.len()] };
            group.add(&measures, row);
            self.groups.insert(written.clone(), group);
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let mut rows = Rows::new(self.table);
        for (key, group) in self.groups.drain() {
            let (time, values) = read_key(&key, &self.key);
            let sums = group.values(&self.table.columns[1 + self.key.len()..]);
            rows.push(std::iter::once(Value::Time(time)).chain(values).chain(sums));
        }
        if rows.count() > 0 { self.draft.push(rows.batch()?) } else { Ok(()) }
    }

    /// The segment, all sums in it.
    pub fn finish(mut self) -> Result<Draft> {
        match self.spill() {
            Ok(()) => Ok(self.draft),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// Gives it up.
    pub fn discard(self) {
        self.draft.discard();
    }
}

impl Group {
    fn add(&mut self, measures: &[(Input<'_>, How)], row: usize) {
        for (place, (input, how)) in measures.iter().enumerate() {
            let Some(number) = input.number(row) else { continue };
            let number = if *how == How::Count { 1 } else { number };
            let (bit, sum) = (1 << place, &mut self.numbers[place]);
            *sum = match how {
                _ if self.there & bit == 0 => number,
                // It would take centuries.
                How::Count | How::Sum => sum.saturating_add(number),
                How::Least => number.min(*sum),
                How::Most => number.max(*sum),
            };
            self.there |= bit;
        }
    }

    /// In the order of measures, which is that of these columns.
    fn values<'g>(&'g self, columns: &'g [Column]) -> impl Iterator<Item = Value<'g>> {
        self.numbers.iter().zip(columns).enumerate().map(|(place, (number, column))| match column.kind {
            _ if self.there >> place & 1 == 0 => Value::Absent,
            Kind::Time => Value::Time(*number),
            _ => Value::Number(*number),
        })
    }
}

/// A column of rows that are added.
enum Input<'b> {
    Texts(&'b StringArray),
    Numbers(&'b UInt64Array),
    Times(&'b TimestampNanosecondArray),
    /// An old segment does not have it.
    Nothing,
}

impl<'b> Input<'b> {
    fn of(batch: &'b RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Self::Nothing };
        let texts = column.as_string_opt().map(Self::Texts);
        let numbers = || column.as_primitive_opt::<UInt64Type>().map(Self::Numbers);
        let times = || column.as_primitive_opt::<TimestampNanosecondType>().map(Self::Times);
        texts.or_else(numbers).or_else(times).unwrap_or(Self::Nothing)
    }

    fn number(&self, row: usize) -> Option<u64> {
        match self {
            Self::Numbers(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
            Self::Times(times) => times.is_valid(row).then(|| times.value(row) as u64),
            Self::Texts(_) | Self::Nothing => None,
        }
    }

    fn text(&self, row: usize) -> Option<&'b str> {
        match self {
            Self::Texts(texts) => texts.is_valid(row).then(|| texts.value(row)),
            _ => None,
        }
    }
}

/// The time, which columns have a value, and the values.
fn enter_key(time: u64, key: &[Input<'_>], row: usize, written: &mut Vec<u8>) {
    written.clear();
    written.extend(time.to_le_bytes());
    written.extend(0_u64.to_le_bytes());
    let mut there = 0_u64;
    for (place, input) in key.iter().enumerate() {
        if let Some(text) = input.text(row) {
            written.extend((text.len() as u32).to_le_bytes());
            written.extend(text.as_bytes());
        } else if let Some(number) = input.number(row) {
            written.extend(number.to_le_bytes());
        } else {
            continue;
        }
        there |= 1 << place;
    }
    written[8..16].copy_from_slice(&there.to_le_bytes());
}

/// What [`enter_key`] has written.
fn read_key<'k>(written: &'k [u8], key: &'k [Column]) -> (u64, impl Iterator<Item = Value<'k>>) {
    fn take<'k>(rest: &mut &'k [u8], length: usize) -> &'k [u8] {
        let (taken, after) = rest.split_at_checked(length).unwrap_or_default();
        *rest = after;
        taken
    }
    fn number(rest: &mut &[u8], length: usize) -> u64 {
        take(rest, length).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
    let mut rest = written;
    let (time, there) = (number(&mut rest, 8), number(&mut rest, 8));
    let values = key.iter().enumerate().map(move |(place, column)| match column.kind {
        _ if there >> place & 1 == 0 => Value::Absent,
        Kind::Number => Value::Number(number(&mut rest, 8)),
        // Addresses are text in columns.
        _ => {
            let length = number(&mut rest, 4) as usize;
            Value::Text(String::from_utf8_lossy(take(&mut rest, length)).into())
        }
    });
    (time, values)
}
