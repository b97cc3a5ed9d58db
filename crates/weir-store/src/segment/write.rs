//! Writing a segment: whole, or not at all.

use super::checksum::Summed;
use super::name::{Logs, Name, day_of};
use super::order::order;
use crate::columns::{Nulls, narrow, present, project};
use crate::error::On;
use crate::table::{Layout, Table};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch};
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use weir_record::{Kind, Unit};

/// Rows in a row group at most: what a reader must look at that cannot rule it out.
const GROUP_ROWS: usize = 128 * 1024;
/// Bytes in memory of a row group at most, before it is encoded.
const GROUP_BYTES: usize = 64 << 20;
/// Rows that are put in order and encoded at a time: column by column, each of which should find its own in the cache.
const CHUNK: usize = 32 * 1024;
/// A dictionary of times at most: as many ticks as there are in a row group of a busy host.
const TIMES: usize = 128 << 10;

/// A segment on its way: it has a name that no reader looks at until it is whole.
pub(crate) struct Draft {
    table: &'static Table,
    directory: PathBuf,
    path: PathBuf,
    writer: ArrowWriter<Summed<File>>,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    times: Option<(u64, u64)>,
    logs: Logs,
    nulls: Nulls,
}

impl Draft {
    /// Begins one of records of one day, out of these logs, in the table's directory.
    pub fn begin(table: &'static Table, directory: &Path, logs: Logs) -> Result<Self> {
        let path = directory.join(format!(".{}-{}.tmp", logs.start(), logs.end()));
        let file = Summed::new(File::create(&path).on("create", &path)?);
        let writer = ArrowWriter::try_new(file, table.schema().clone(), Some(properties(table)))?;
        Ok(Self {
            table,
            directory: directory.to_owned(),
            path,
            writer,
            waiting: Vec::new(),
            waiting_rows: 0,
            waiting_bytes: 0,
            times: None,
            logs,
            nulls: Nulls::default(),
        })
    }

    /// Adds rows, all of the same day as those before.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        for time in times(self.table, &batch)? {
            let (first, last) = self.times.unwrap_or((*time as u64, *time as u64));
            self.times = Some((first.min(*time as u64), last.max(*time as u64)));
        }
        self.waiting_rows += batch.num_rows();
        self.waiting_bytes += batch.get_array_memory_size();
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
        // Columns that are nowhere are not put in order.
        let present = present(self.table, batches.iter());
        let parts = batches.iter().map(|batch| project(&present, batch, &mut self.nulls));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let order = order(self.table, &parts)?;
        let parts: Vec<_> = parts.iter().collect();
        for places in order.chunks(CHUNK) {
            let chunk = interleave_record_batch(&parts, places)?;
            self.writer.write(&project(self.table.schema(), &chunk, &mut self.nulls)?)?;
        }
        Ok(self.writer.flush()?)
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
    let missing = || arrow_schema::ArrowError::SchemaError(format!("{} is missing", table.time));
    Ok(times.ok_or_else(missing).map_err(Error::Arrow)?.values())
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

fn properties(table: &Table) -> WriterProperties {
    let Layout { sought, unlike, near, ticks, .. } = table.layout;
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in &table.columns {
        let path = || ColumnPath::from(column.name);
        // What is measured is seldom twice the same; times are, where they are those of the kernel's tick.
        let is_measured =
            matches!(column.unit, Unit::Nanoseconds | Unit::Bytes) && !ticks.contains(&column.name);
        let encoding = match column.kind {
            Kind::Time | Kind::Number => Encoding::DELTA_BINARY_PACKED,
            _ if near.contains(&column.name) => Encoding::DELTA_BYTE_ARRAY,
            _ => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        };
        if matches!(column.kind, Kind::Time | Kind::Number | Kind::Text | Kind::Address) {
            properties = properties
                .set_column_encoding(path(), encoding)
                .set_column_dictionary_enabled(path(), !is_measured && !unlike.contains(&column.name));
        }
        if column.kind == Kind::Time {
            properties = properties.set_column_dictionary_page_size_limit(path(), TIMES);
        }
        if column.kind == Kind::Time || sought.contains(&column.name) {
            properties = properties.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
        if sought.contains(&column.name) {
            properties = properties
                .set_column_bloom_filter_enabled(path(), true)
                .set_column_bloom_filter_fpp(path(), 0.01)
                .set_column_bloom_filter_max_ndv(path(), GROUP_ROWS as u64);
        }
    }
    properties.build()
}
