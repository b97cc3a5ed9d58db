//! Writing a segment: whole, or not at all.

use super::checksum::{KEY, Summed};
use super::encoder::{Encoder, Values};
use super::gather::{Coded, Flat, Group};
use super::name::{Logs, Name, day_of};
use super::order::order;
use crate::compact::narrow;
use crate::error::On;
use crate::table::{Column, Layout, Table};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_record::{Kind, Unit};

/// Rows in a row group at most: what a reader must look at that cannot rule it out.
const GROUP_ROWS: usize = 128 * 1024;
/// Bytes in memory of a row group at most, before it is encoded.
const GROUP_BYTES: usize = 64 << 20;
/// How often a Bloom filter says that something may be there that is not. Those of 0.01 are a fourth larger, or twice as
/// large, since sizes are powers of two; and would spare a question few row groups more.
const FALSE_POSITIVES: f64 = 0.03;
/// Bytes in a dictionary at most.
const DICTIONARY: usize = 1 << 20;
/// Times in a dictionary at most: as many ticks as there are in a row group of a busy host.
const TIMES: usize = 16 << 10;
/// Values in a dictionary at most of what is seldom twice the same.
const FEW: usize = 256;

/// A segment on its way: it has a name that no reader looks at until it is whole.
pub(crate) struct Draft {
    table: &'static Table,
    directory: PathBuf,
    path: PathBuf,
    writer: SerializedFileWriter<Summed<File>>,
    columns: ArrowRowGroupWriterFactory,
    encoder: Encoder,
    /// Row groups that were written.
    groups: usize,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    times: Option<(u64, u64)>,
    logs: Logs,
}

impl Draft {
    /// Begins one of records of one day, out of these logs, in the table's directory.
    pub fn begin(table: &'static Table, directory: &Path, logs: Logs) -> Result<Self> {
        let path = directory.join(format!(".{}-{}.tmp", logs.start(), logs.end()));
        let file = Summed::new(File::create(&path).on("create", &path)?);
        let properties = Arc::new(properties(table));
        let writer = ArrowWriter::try_new(file, table.schema().clone(), Some((*properties).clone()))?;
        let (writer, columns) = writer.into_serialized_writer()?;
        Ok(Self {
            table,
            directory: directory.to_owned(),
            path,
            writer,
            columns,
            encoder: Encoder::new(properties)?,
            groups: 0,
            waiting: Vec::new(),
            waiting_rows: 0,
            waiting_bytes: 0,
            times: None,
            logs,
        })
    }

    /// Adds rows, all of the same day as those before.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        for time in times(self.table, &batch)? {
            let (first, last) = self.times.unwrap_or((*time as u64, *time as u64));
            self.times = Some((first.min(*time as u64), last.max(*time as u64)));
        }
        self.waiting_rows += batch.num_rows();
        self.waiting_bytes += bytes_of(&batch);
        self.waiting.push(batch);
        if self.waiting_rows >= GROUP_ROWS || self.waiting_bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    /// Encodes all that was pushed, so that little is left to do.
    pub fn settle(&mut self) -> Result<()> {
        if self.waiting_rows > 0 { self.write_group() } else { Ok(()) }
    }

    /// Puts what waits in order and writes it as a row group.
    fn write_group(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.waiting);
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let group = Group::new(self.table, &batches);
        let order = order(self.table, &group)?;
        let leaves = self.writer.schema_descr().columns().to_vec();
        let mut writers = self.columns.create_column_writers(self.groups)?.into_iter().zip(leaves);
        let mut out = self.writer.next_row_group()?;
        let columns = self.table.columns.iter().zip(self.table.schema().fields());
        for (at, (column, field)) in columns.enumerate() {
            let flat = group.flat(at)?.taken(&order)?;
            // The library would write what is not there as 0.
            if !field.is_nullable() && flat.has_nulls() {
                return Err(missing(column.name));
            }
            if let Some(ours) = ours(self.table, column, &flat) {
                let (_, leaf) = writers.next().ok_or_else(|| missing(column.name))?;
                let (bytes, close) = match ours {
                    Ours::Dictionary(values, keys) => self.encoder.chunk(&leaf, &values, &keys)?,
                    Ours::Ids(ids) => self.encoder.ids(&leaf, &ids)?,
                };
                out.append_column(&bytes, close)?;
                continue;
            }
            let array = flat.array(field.data_type(), order.len())?;
            for leaf in compute_leaves(field, &array)? {
                let (mut writer, _) = writers.next().ok_or_else(|| missing(column.name))?;
                writer.write(&leaf)?;
                writer.close()?.append_to_row_group(&mut out)?;
            }
        }
        out.close()?;
        self.groups += 1;
        Ok(())
    }

    /// Completes the segment and gives it its name: from then on readers see it, and it is there after a loss of power.
    /// None where it has no rows.
    ///
    /// # Errors
    /// It could not be written; nothing is left of it.
    pub fn publish(self) -> Result<Option<Name>> {
        let path = self.path.clone();
        let done = self.complete();
        if !matches!(done, Ok(Some(_))) {
            let _ = fs::remove_file(path);
        }
        done
    }

    fn complete(mut self) -> Result<Option<Name>> {
        let Some((from, until)) = self.times else { return Ok(None) };
        self.settle()?;
        // Pages and Bloom filters are written by now; what follows is vouched for by the name.
        self.writer.flush().on("write", &self.path)?;
        let sums = self.writer.inner_mut().end_blocks();
        self.writer.append_key_value_metadata(KeyValue::new(KEY.to_owned(), sums));
        let file = self.writer.into_inner()?;
        file.inner.sync_all().on("write", &self.path)?;
        let name = Name::new(&self.logs, &(from..=until), file.checksum());
        let path = self.directory.join(name.path());
        let day = path.parent().unwrap_or(&self.directory);
        if !day.is_dir() {
            fs::create_dir(day).on("create", day)?;
            sync_directory(&self.directory)?;
        }
        fs::rename(&self.path, &path).on("rename", &self.path)?;
        sync_directory(day)?;
        Ok(Some(name))
    }

    /// Gives it up; what cannot be removed now is at the next start.
    pub fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes names in a directory last.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|directory| directory.sync_all()).on("write", path)
}

/// The times of a batch, by which segments are cut.
pub(crate) fn times<'b>(table: &Table, batch: &'b RecordBatch) -> Result<&'b [i64]> {
    let column = batch.column_by_name(table.time).filter(|column| column.null_count() == 0);
    let times = column.and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
    Ok(times.ok_or_else(|| missing(table.time))?.values())
}

fn missing(column: &str) -> Error {
    Error::Arrow(ArrowError::SchemaError(format!("{column} is missing")))
}

/// The parts of a batch, by day; most batches are of one.
pub(crate) fn by_day(table: &Table, batch: &RecordBatch) -> Result<Vec<(jiff::civil::Date, RecordBatch)>> {
    const DAY: i64 = 86_400_000_000_000;
    let times = times(table, batch)?;
    let days: std::collections::BTreeSet<_> = times.iter().map(|time| time / DAY).collect();
    if days.len() == 1 {
        return Ok(days.into_iter().map(|day| (day_of((day * DAY) as u64), batch.clone())).collect());
    }
    let part = |day: i64| {
        let rows = times.iter().enumerate().filter(|(_, time)| **time / DAY == day);
        let rows: Vec<_> = rows.map(|(row, _)| (0, row)).collect();
        let part = interleave_record_batch(&[batch], &rows)?;
        Ok((day_of((day * DAY) as u64), narrow(&part)?))
    };
    days.into_iter().map(part).collect()
}

/// A column of which more is known than the library would see: our encoder takes it.
enum Ours<'f> {
    /// The distinct values, and which of them each row has.
    Dictionary(Values<'f>, Cow<'f, [u32]>),
    /// Ids in a row.
    Ids(Vec<Option<u64>>),
}

/// What is known of a column, if anything.
fn ours<'f>(table: &Table, column: &Column, flat: &'f Flat<'_>) -> Option<Ours<'f>> {
    match flat {
        Flat::Numbers(numbers) if table.layout.ids.contains(&column.name) => Some(Ours::Ids(numbers.each())),
        _ => dictionary(table, column, flat).map(|(values, keys)| Ours::Dictionary(values, keys)),
    }
}

/// The distinct values of a column and which of them each row has, where that is short.
fn dictionary<'f>(
    table: &Table,
    column: &Column,
    flat: &'f Flat<'_>,
) -> Option<(Values<'f>, Cow<'f, [u32]>)> {
    let most = match column.kind {
        Kind::Time => TIMES,
        Kind::Number if is_unlike(table, column) => FEW,
        _ => DICTIONARY / 8,
    };
    match flat {
        Flat::Texts(_) if table.layout.unlike.contains(&column.name) => None,
        Flat::Texts(texts) => {
            let bytes: usize = texts.values.iter().map(|text| text.len()).sum();
            let values = (bytes <= DICTIONARY).then(|| Values::Texts(texts.values.clone()))?;
            Some((values, Cow::Borrowed(&texts.keys)))
        }
        Flat::Coded(coded) if column.kind == Kind::Number => {
            let values = (coded.values.len() <= most).then(|| Values::Numbers(coded.values.clone()))?;
            Some((values, Cow::Borrowed(&coded.keys)))
        }
        Flat::Numbers(numbers) if matches!(column.kind, Kind::Number | Kind::Time) => {
            let Coded { values, keys } = numbers.coded(most)?;
            let values = match column.kind {
                Kind::Time => Values::Times(values.into_iter().map(|time| time as i64).collect()),
                _ => Values::Numbers(values),
            };
            Some((values, Cow::Owned(keys)))
        }
        _ => None,
    }
}

/// Whether few rows have the same: what is measured is seldom twice the same; times are, where they are those of the
/// kernel's tick.
fn is_unlike(table: &Table, column: &Column) -> bool {
    let Layout { unlike, ticks, .. } = table.layout;
    let is_measured =
        matches!(column.unit, Unit::Microseconds | Unit::Bytes) && !ticks.contains(&column.name);
    is_measured || unlike.contains(&column.name)
}

/// What a batch has in memory. What came out of a log is one piece, which Arrow otherwise counts once for each column.
fn bytes_of(batch: &RecordBatch) -> usize {
    let of = |column: &ArrayRef| column.to_data().get_slice_memory_size();
    batch.columns().iter().map(|column| of(column).unwrap_or_else(|_| column.get_array_memory_size())).sum()
}

/// What a file says of its columns, for those who do not read the Arrow schema.
pub fn key_values(schema: &Schema) -> Vec<KeyValue> {
    let all: BTreeMap<_, _> = schema.metadata().iter().collect();
    all.into_iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect()
}

fn properties(table: &Table) -> WriterProperties {
    let Layout { sought, .. } = table.layout;
    let mut properties = WriterProperties::builder()
        .set_key_value_metadata(Some(key_values(table.schema())))
        .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in &table.columns {
        let path = || ColumnPath::from(column.name);
        let encoding = match column.kind {
            Kind::Time | Kind::Number => Encoding::DELTA_BINARY_PACKED,
            _ => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        };
        if matches!(column.kind, Kind::Time | Kind::Number | Kind::Text | Kind::Address) {
            properties = properties
                .set_column_encoding(path(), encoding)
                // What has one is written by ours.
                .set_column_dictionary_enabled(path(), false);
        }
        if column.kind == Kind::Time || sought.contains(&column.name) {
            properties = properties.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
        if sought.contains(&column.name) {
            properties = properties
                .set_column_bloom_filter_enabled(path(), true)
                .set_column_bloom_filter_fpp(path(), FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path(), GROUP_ROWS as u64);
        }
    }
    properties.build()
}
