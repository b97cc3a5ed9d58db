//! Reading a segment: only what may hold what is asked for.

use super::checksum::of_whole;
use super::digest::{Builder, RowGroup, pages_are_sound};
use super::file::{Known, SegmentFile};
use super::name::Name;
use crate::error::On;
use crate::predicate;
use crate::table::Table;
use crate::version::SchemaVersion;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    RowFilter, RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::Length;
use std::fs::File;
use std::ops::RangeInclusive;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use weir_filter::Filter;

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
    /// Rows of the others whose pages could not.
    pub rows_skipped: usize,
}

impl Segment {
    /// The file, what it says of itself, and the version of that.
    pub(super) fn open(&self, table: &Table) -> Result<(SegmentFile, Builder, SchemaVersion)> {
        let file = SegmentFile::open(self)?;
        // The libraries take some damage of a footer for impossible: nothing vouches for an old one.
        let read = catch_unwind(|| Builder::try_new(file.clone()));
        let read = read.map_err(|_| file.wrong(&"what it says of itself makes no sense"))?;
        let builder = read.map_err(|error| file.wrong(&error))?;
        let version = file.version(builder.schema(), table)?;
        Ok((file, builder, version))
    }

    /// Opens it for others to read; `known` is what is known of it since it was opened before.
    ///
    /// # Errors
    /// It is gone, cannot be read, or what it says of itself is damaged.
    pub fn file(&self, known: Option<&Known>) -> Result<SegmentFile> {
        known.map_or_else(|| SegmentFile::open(self), |known| SegmentFile::again(self, known))
    }

    /// Reads all of its bytes and looks whether they are those that were written.
    ///
    /// # Errors
    /// It is gone, cannot be read, or is damaged.
    pub fn check(&self) -> Result<()> {
        let file = SegmentFile::open(self)?;
        if file.has_sums() { file.check() } else { self.check_whole() }
    }

    fn check_whole(&self) -> Result<()> {
        let file = File::open(&self.path).on("open", &self.path)?;
        let found = of_whole(file).on("read", &self.path)?;
        let what = "its checksum is another".into();
        if found == self.name.checksum() {
            Ok(())
        } else {
            Err(Error::Damaged { path: self.path.clone(), what })
        }
    }

    /// Its rows, sizes and statistics.
    ///
    /// # Errors
    /// It is gone, or damaged, not of this table, or from a later weir.
    pub fn metadata(&self, table: &Table) -> Result<Arc<ParquetMetaData>> {
        Ok(Arc::clone(self.open(table)?.1.metadata()))
    }

    /// Reads all of it; whatever comes of it is what was written.
    ///
    /// # Errors
    /// It is gone, or damaged, or not of this table.
    pub(crate) fn batches(&self, table: &'static Table) -> Result<Batches> {
        let (file, builder, version) = self.open(table)?;
        self.vouch(&file)?;
        let reader = builder.with_batch_size(2048).build().map_err(|error| file.wrong(&error))?;
        Ok(Batches { file, reader, table, version })
    }

    /// The same of what is asked for.
    pub(crate) fn vouched(&self, table: &'static Table, question: &Question) -> Result<Batches> {
        let (_, batches) = self.ask(table, question)?;
        self.vouch(&batches.file)?;
        Ok(batches)
    }

    /// Where its parts have no checksums, all of it is compared.
    fn vouch(&self, file: &SegmentFile) -> Result<()> {
        if file.has_sums() { Ok(()) } else { self.check_whole() }
    }

    /// The batches of those row groups that may hold what is asked for; only matching rows.
    pub(crate) fn ask(&self, table: &'static Table, question: &Question) -> Result<(Looked, Batches)> {
        let (file, mut builder, version) = self.open(table)?;
        let count = builder.metadata().num_row_groups();
        let (groups, is_within) = may_hold(&builder, table, version, question);
        let mut looked =
            Looked { groups_read: groups.len(), groups_skipped: count - groups.len(), rows_skipped: 0 };
        let mut filters: Vec<Box<dyn ArrowPredicate>> = Vec::new();
        if !is_within {
            filters.push(by_time(&builder, table, question.times.clone()));
        }
        filters.extend(question.filter.as_ref().map(|filter| by_filter(&builder, table, version, filter)));
        if !filters.is_empty() && !groups.is_empty() {
            builder = with_pages(&file, &builder)?;
            let about = |group: &usize| RowGroup::new(&builder, *group, table, version);
            let rows: Vec<_> = groups.iter().map(|group| about(group).may_be_asked(question)).collect();
            let rows = RowSelection::from_filters(&rows);
            looked.rows_skipped = rows.skipped_row_count();
            builder = builder.with_row_selection(rows);
        }
        let wanted = |name: &str| question.columns.as_ref().is_none_or(|columns| columns.contains(&name));
        let mask = roots(&builder, wanted);
        let reader = builder
            .with_row_groups(groups)
            .with_projection(mask)
            .with_row_filter(RowFilter::new(filters))
            .with_batch_size(BATCH)
            .build();
        let reader = reader.map_err(|error| file.wrong(&error))?;
        Ok((looked, Batches { file, reader, table, version }))
    }
}

/// The same file, with what its pages say.
fn with_pages(file: &SegmentFile, builder: &Builder) -> Result<Builder> {
    let read = || {
        let metadata = ParquetMetaData::clone(builder.metadata());
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_page_index_policy(PageIndexPolicy::Optional);
        reader.read_page_indexes(file)?;
        ArrowReaderMetadata::try_new(Arc::new(reader.finish()?), ArrowReaderOptions::new())
    };
    let about = read().map_err(|error| file.wrong(&error))?;
    if !pages_are_sound(about.metadata(), file.len()) {
        return Err(file.wrong(&"where its pages are makes no sense"));
    }
    Ok(Builder::new_with_metadata(file.clone(), about))
}

/// The row groups that may hold what is asked for, and whether all of their times are asked for.
fn may_hold(
    builder: &Builder,
    table: &'static Table,
    version: SchemaVersion,
    question: &Question,
) -> (Vec<usize>, bool) {
    let all = 0..builder.metadata().num_row_groups();
    let about = |group: &usize| RowGroup::new(builder, *group, table, version);
    let groups: Vec<_> = all.filter(|group| about(group).may_hold(question)).collect();
    let is_within = groups.iter().all(|group| about(group).is_within(&question.times));
    (groups, is_within)
}

/// What is read of a segment, batch by batch.
pub(crate) struct Batches {
    file: SegmentFile,
    reader: ParquetRecordBatchReader,
    table: &'static Table,
    version: SchemaVersion,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    /// After an error nothing more is to be asked for.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next();
        // The answer would be whole without a Bloom filter, for instance; that is said all the same.
        if let Some(damage) = self.file.damage() {
            return Some(Err(damage));
        }
        let batch = batch?.and_then(|batch| self.version.update(self.table, batch));
        Some(batch.map_err(|error| self.file.wrong(&error)))
    }
}

/// The columns whose names are wanted.
fn roots(builder: &Builder, wanted: impl Fn(&str) -> bool) -> ProjectionMask {
    let fields = builder.schema().fields().iter().enumerate();
    let places = fields.filter(|(_, field)| wanted(field.name())).map(|(place, _)| place);
    ProjectionMask::roots(builder.parquet_schema(), places)
}

fn by_filter(
    builder: &Builder,
    table: &'static Table,
    version: SchemaVersion,
    filter: &Arc<Filter>,
) -> Box<dyn ArrowPredicate> {
    let (filter, mask) =
        (Arc::clone(filter), roots(builder, |name| predicate::columns(filter).contains(name)));
    Box::new(ArrowPredicateFn::new(mask, move |batch| {
        Ok(predicate::mask(&filter, &version.update(table, batch)?))
    }))
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
