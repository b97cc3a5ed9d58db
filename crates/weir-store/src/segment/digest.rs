//! What row groups and their pages say of themselves: what need not be read.

use super::file::SegmentFile;
use super::read::Question;
use crate::predicate::{self, Digest, Paged};
use crate::table::Table;
use crate::version::SchemaVersion;
use arrow_array::BooleanArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::AsBytes;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use parquet::file::statistics::Statistics;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::RangeInclusive;

pub(super) type Builder = ParquetRecordBatchReaderBuilder<SegmentFile>;

/// A row group.
pub(super) struct RowGroup<'b> {
    builder: &'b Builder,
    group: usize,
    table: &'static Table,
    version: SchemaVersion,
    blooms: RefCell<HashMap<usize, Option<Sbbf>>>,
}

impl<'b> RowGroup<'b> {
    pub fn new(builder: &'b Builder, group: usize, table: &'static Table, version: SchemaVersion) -> Self {
        Self { builder, group, table, version, blooms: RefCell::default() }
    }

    /// Whether there may be a row in it that is asked for.
    pub fn may_hold(&self, question: &Question) -> bool {
        self.range(self.table.time).is_none_or(overlaps(&question.times))
            && question.filter.as_ref().is_none_or(|filter| predicate::may_match(filter, self))
    }

    /// Whether all of its times are asked for.
    pub fn is_within(&self, times: &RangeInclusive<u64>) -> bool {
        let is_within = |(first, last)| times.contains(&first) && times.contains(&last);
        self.range(self.table.time).is_some_and(is_within)
    }

    /// The rows that may be asked for, by what their pages say; all of them where the index of pages was not read.
    pub fn may_be_asked(&self, question: &Question) -> BooleanArray {
        let overlaps = overlaps(&question.times);
        let mut rows =
            self.rows_of_pages(self.table.time, |page| page.range(self.table.time).is_none_or(&overlaps));
        if let Some(filter) = &question.filter {
            rows = &rows & &predicate::may_match_by_page(filter, self);
        }
        BooleanArray::new(rows, None)
    }

    fn column(&self, name: &str) -> Option<(usize, &'b ColumnChunkMetaData)> {
        let columns = self.builder.metadata().row_group(self.group).columns();
        columns.iter().enumerate().find(|(_, column)| {
            let parts = column.column_path().parts();
            parts.len() == 1 && parts[0] == name
        })
    }

    fn may_have<T: AsBytes + ?Sized>(&self, column: &str, value: &T) -> bool {
        let Some((place, _)) = self.column(column) else { return false };
        let mut blooms = self.blooms.borrow_mut();
        // A filter that cannot be read rules nothing out; reading the values will say what is wrong.
        let read = || self.builder.get_row_group_column_bloom_filter(self.group, place).ok().flatten();
        blooms.entry(place).or_insert_with(read).as_ref().is_none_or(|bloom| bloom.check(value))
    }

    fn divisor(&self, column: &str) -> u64 {
        self.version.divisor(self.table, column).unwrap_or(1)
    }
}

fn overlaps(times: &RangeInclusive<u64>) -> impl Fn((u64, u64)) -> bool {
    |(first, last)| first <= *times.end() && *times.start() <= last
}

impl Digest for RowGroup<'_> {
    fn may_be_null(&self, column: &str) -> bool {
        let nulls = self.column(column).and_then(|(_, column)| column.statistics()?.null_count_opt());
        nulls != Some(0)
    }

    fn range(&self, column: &str) -> Option<(u64, u64)> {
        let by = self.divisor(column);
        match self.column(column)?.1.statistics()? {
            Statistics::Int64(of) => Some((*of.min_opt()? as u64 / by, *of.max_opt()? as u64 / by)),
            _ => None,
        }
    }

    fn may_have_number(&self, column: &str, number: u64) -> bool {
        self.divisor(column) != 1 || self.may_have(column, &(number as i64))
    }

    fn may_have_text(&self, column: &str, text: &str) -> bool {
        self.may_have(column, text)
    }
}

impl<'b> Paged for RowGroup<'b> {
    type Page = Page<'b>;

    fn rows(&self) -> usize {
        usize::try_from(self.builder.metadata().row_group(self.group).num_rows()).unwrap_or(0)
    }

    fn pages(&self, column: &str) -> Option<impl Iterator<Item = (usize, Page<'b>)>> {
        let (place, _) = self.column(column)?;
        let metadata = self.builder.metadata();
        let index = metadata.column_index()?.get(self.group)?.get(place)?;
        let pages = metadata.offset_index()?.get(self.group)?.get(place)?.page_locations();
        // Other tools' files may have one without the other.
        if matches!(index, ColumnIndexMetaData::NONE) || index.num_pages() != pages.len() as u64 {
            return None;
        }
        let by = self.divisor(column);
        let rows = lengths(pages, self.rows())?;
        Some(rows.into_iter().enumerate().map(move |(page, rows)| (rows, Page { index, page, by })))
    }
}

/// How many rows each page has, of so many altogether; none where that makes no sense.
fn lengths(pages: &[PageLocation], rows: usize) -> Option<Vec<usize>> {
    let begins = pages.iter().map(|page| usize::try_from(page.first_row_index).ok());
    let ends = begins.clone().skip(1).chain([Some(rows)]);
    if pages.first().is_none_or(|first| first.first_row_index != 0) {
        return None;
    }
    begins.zip(ends).map(|(begin, end)| end?.checked_sub(begin?)).collect()
}

/// Whether all pages are within a file that is so long, and have as many rows as their row groups: a flipped bit in
/// their index would lead anywhere.
pub(super) fn pages_are_sound(metadata: &ParquetMetaData, length: u64) -> bool {
    let Some(index) = metadata.offset_index() else { return true };
    metadata.row_groups().iter().zip(index).all(|(group, columns)| {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        columns.iter().map(OffsetIndexMetaData::page_locations).all(|pages| {
            let is_within = |page: &PageLocation| {
                let begin = u64::try_from(page.offset).ok();
                let end = begin.zip(u64::try_from(page.compressed_page_size).ok());
                end.is_some_and(|(begin, size)| begin.saturating_add(size) <= length)
            };
            pages.iter().all(is_within) && (pages.is_empty() || lengths(pages, rows).is_some())
        })
    })
}

/// The range of no number.
const NOTHING: (u64, u64) = (u64::MAX, 0);

/// A page of a column.
pub(crate) struct Page<'i> {
    index: &'i ColumnIndexMetaData,
    page: usize,
    by: u64,
}

impl Digest for Page<'_> {
    fn may_be_null(&self, _: &str) -> bool {
        self.index.null_count(self.page) != Some(0)
    }

    fn range(&self, _: &str) -> Option<(u64, u64)> {
        let ColumnIndexMetaData::INT64(numbers) = self.index else { return None };
        if numbers.is_null_page(self.page) {
            return Some(NOTHING);
        }
        let (least, most) = (numbers.min_value(self.page)?, numbers.max_value(self.page)?);
        Some((*least as u64 / self.by, *most as u64 / self.by))
    }

    fn may_have_number(&self, _: &str, _: u64) -> bool {
        true
    }

    /// The bounds may be shorter than the texts, and are bounds all the same.
    fn may_have_text(&self, _: &str, text: &str) -> bool {
        let ColumnIndexMetaData::BYTE_ARRAY(texts) = self.index else { return true };
        let bounds = texts.min_value(self.page).zip(texts.max_value(self.page));
        let is_between = |(least, most)| least <= text.as_bytes() && text.as_bytes() <= most;
        !texts.is_null_page(self.page) && bounds.is_none_or(is_between)
    }
}
