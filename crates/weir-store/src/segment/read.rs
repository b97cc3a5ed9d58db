//! Reading a segment: only what may hold what is asked for.

use super::checksum::checksum;
use super::name::Name;
use crate::error::On;
use crate::predicate::{self, Digest};
use crate::table::Table;
use crate::version::SchemaVersion;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use weir_filter::Filter;

type Builder = ParquetRecordBatchReaderBuilder<File>;

/// Rows in a batch that is read.
const BATCH: usize = 8192;

/// A segment, as its directory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies.
    pub path: PathBuf,
    /// What its name says.
    pub name: Name,
    /// The file's size.
    pub bytes: u64,
}

/// What is asked of a table.
#[derive(Debug, Clone)]
pub struct Question {
    /// The records whose time (for flows, `end`) is in here, in nanoseconds since the epoch.
    pub times: RangeInclusive<u64>,
    /// And that match this.
    pub filter: Option<Arc<Filter>>,
    /// The columns that the answer shall have; all without this.
    pub columns: Option<Vec<&'static str>>,
}

impl Default for Question {
    fn default() -> Self {
        Self { times: 0..=u64::MAX, filter: None, columns: None }
    }
}

/// What of a segment was read and what could be passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Row groups that were read.
    pub groups_read: usize,
    /// Row groups that could not hold what was asked for.
    pub groups_skipped: usize,
}

impl Segment {
    fn open(&self) -> Result<Builder> {
        let file = File::open(&self.path).on("open", &self.path)?;
        Builder::try_new(file).map_err(|error| self.damaged(&error))
    }

    fn version(&self, builder: &Builder) -> Result<SchemaVersion> {
        SchemaVersion::known(builder.schema(), &self.path)
    }

    pub(crate) fn damaged(&self, what: &impl ToString) -> Error {
        Error::Damaged { path: self.path.clone(), what: what.to_string() }
    }

    /// Reads all of its bytes and looks whether they are those that were written.
    ///
    /// # Errors
    /// It is gone, cannot be read, or is damaged.
    pub fn check(&self) -> Result<()> {
        let file = File::open(&self.path).on("open", &self.path)?;
        let found = checksum(file).on("read", &self.path)?;
        if found == self.name.checksum() { Ok(()) } else { Err(self.damaged(&"its checksum is another")) }
    }

    /// Its rows, sizes and statistics.
    ///
    /// # Errors
    /// It is gone, or damaged.
    pub fn metadata(&self) -> Result<Arc<ParquetMetaData>> {
        Ok(Arc::clone(self.open()?.metadata()))
    }

    /// Reads all of it, values and all, as a check.
    ///
    /// # Errors
    /// It is gone, or damaged, or not of this table.
    pub(crate) fn batches(
        &self,
        table: &'static Table,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + '_> {
        let builder = self.open()?;
        let version = self.version(&builder)?;
        let reader = builder.with_batch_size(2048).build()?;
        Ok(Batches { reader, table, version }.map(|batch| batch.map_err(|error| self.damaged(&error))))
    }

    /// The batches of those row groups that may hold what is asked for; only matching rows.
    pub(crate) fn ask(
        &self,
        table: &'static Table,
        question: &Question,
    ) -> Result<(Looked, Batches)> {
        let builder = self.open()?;
        let version = self.version(&builder)?;
        let count = builder.metadata().num_row_groups();
        let about = |group| Group { builder: &builder, group, table, version, blooms: RefCell::default() };
        let groups: Vec<_> = (0..count).filter(|group| about(*group).may_hold(question)).collect();
        let looked = Looked { groups_read: groups.len(), groups_skipped: count - groups.len() };
        let mut filters: Vec<Box<dyn ArrowPredicate>> = Vec::new();
        if !groups.iter().all(|group| about(*group).is_within(&question.times)) {
            filters.push(by_time(&builder, table, question.times.clone()));
        }
        if let Some(filter) = &question.filter {
            let (filter, mask) =
                (Arc::clone(filter), roots(&builder, |name| predicate::columns(filter).contains(name)));
            filters.push(Box::new(ArrowPredicateFn::new(mask, move |batch| {
                Ok(predicate::mask(&filter, &version.update(table, batch)?))
            })));
        }
        let wanted = |name: &str| question.columns.as_ref().is_none_or(|columns| columns.contains(&name));
        let mask = roots(&builder, wanted);
        let reader = builder
            .with_row_groups(groups)
            .with_projection(mask)
            .with_row_filter(RowFilter::new(filters))
            .with_batch_size(BATCH)
            .build();
        let reader = reader.map_err(|error| self.damaged(&error))?;
        Ok((looked, Batches { reader, table, version }))
    }
}

/// What is read of a segment, batch by batch.
pub(crate) struct Batches {
    reader: ParquetRecordBatchReader,
    table: &'static Table,
    version: SchemaVersion,
}

impl Iterator for Batches {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.and_then(|batch| self.version.update(self.table, batch)))
    }
}

/// The columns whose names are wanted.
fn roots(builder: &Builder, wanted: impl Fn(&str) -> bool) -> ProjectionMask {
    let fields = builder.schema().fields().iter().enumerate();
    let places = fields.filter(|(_, field)| wanted(field.name())).map(|(place, _)| place);
    ProjectionMask::roots(builder.parquet_schema(), places)
}

fn by_time(builder: &Builder, table: &Table, times: RangeInclusive<u64>) -> Box<dyn ArrowPredicate> {
    let mask = roots(builder, |name| name == table.time);
    Box::new(ArrowPredicateFn::new(mask, move |batch| {
        let column = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
        Ok(BooleanArray::new(within(column, &times), None))
    }))
}

/// Which of them are in there.
pub(crate) fn within(column: &[i64], times: &RangeInclusive<u64>) -> BooleanBuffer {
    BooleanBuffer::collect_bool(column.len(), |row| times.contains(&(column[row] as u64)))
}

/// A row group and what it says of itself.
struct Group<'b> {
    builder: &'b Builder,
    group: usize,
    table: &'static Table,
    version: SchemaVersion,
    blooms: RefCell<HashMap<usize, Option<Sbbf>>>,
}

impl Group<'_> {
    fn may_hold(&self, question: &Question) -> bool {
        let overlaps = |(first, last)| first <= *question.times.end() && *question.times.start() <= last;
        self.range(self.table.time).is_none_or(overlaps)
            && question.filter.as_ref().is_none_or(|filter| predicate::may_match(filter, self))
    }

    /// Whether all times of the group are asked for.
    fn is_within(&self, times: &RangeInclusive<u64>) -> bool {
        let is_within = |(first, last)| times.contains(&first) && times.contains(&last);
        self.range(self.table.time).is_some_and(is_within)
    }

    fn column(&self, name: &str) -> Option<(usize, &ColumnChunkMetaData)> {
        let columns = self.builder.metadata().row_group(self.group).columns();
        columns.iter().enumerate().find(|(_, column)| {
            let parts = column.column_path().parts();
            parts.len() == 1 && parts[0] == name
        })
    }

    fn may_have<T: parquet::data_type::AsBytes + ?Sized>(&self, column: &str, value: &T) -> bool {
        let Some((place, _)) = self.column(column) else { return false };
        let mut blooms = self.blooms.borrow_mut();
        // A filter that cannot be read rules nothing out; reading the values will say what is wrong.
        let read = || self.builder.get_row_group_column_bloom_filter(self.group, place).ok().flatten();
        blooms.entry(place).or_insert_with(read).as_ref().is_none_or(|bloom| bloom.check(value))
    }
}

impl Digest for Group<'_> {
    fn may_be_null(&self, column: &str) -> bool {
        let nulls = self.column(column).and_then(|(_, column)| column.statistics()?.null_count_opt());
        nulls != Some(0)
    }

    fn range(&self, column: &str) -> Option<(u64, u64)> {
        let by = self.version.divisor(self.table, column).unwrap_or(1);
        match self.column(column)?.1.statistics()? {
            Statistics::Int64(of) => Some((*of.min_opt()? as u64 / by, *of.max_opt()? as u64 / by)),
            _ => None,
        }
    }

    fn may_have_number(&self, column: &str, number: u64) -> bool {
        self.version.divisor(self.table, column).is_some() || self.may_have(column, &(number as i64))
    }

    fn may_have_text(&self, column: &str, text: &str) -> bool {
        self.may_have(column, text)
    }
}
