//! What a file says of a column chunk: where its pages are, and what to expect in them.

use super::pages::widened;
use super::{Placed, Value};
use crate::Result;
use parquet::basic::{BoundaryOrder, Encoding, EncodingMask, PageType, Type};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageWriteSpec;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;

/// A column chunk that is written.
pub(super) struct Chunk<'c> {
    pub column: &'c ColumnDescPtr,
    pub properties: &'c WriterProperties,
    /// Its dictionary; none where it has none.
    pub values: Vec<Value<'c>>,
    pub dictionary: Option<PageWriteSpec>,
    pub pages: Placed<'c>,
}

impl Chunk<'_> {
    /// All that the row group's writer wants to know.
    pub fn close(&self) -> Result<ColumnCloseResult> {
        let written = self.pages.iter().map(|(_, written)| written.bytes_written).sum::<u64>();
        Ok(ColumnCloseResult {
            bytes_written: self.dictionary.as_ref().map_or(0, |page| page.bytes_written) + written,
            rows_written: self.rows() as u64,
            metadata: self.metadata()?,
            bloom_filter: self.bloom_filter()?,
            column_index: self.column_index()?,
            offset_index: Some(self.offset_index()),
        })
    }

    /// What the file's end says of it.
    fn metadata(&self) -> Result<ColumnChunkMetaData> {
        let written = || self.pages.iter().map(|(_, written)| written).chain(&self.dictionary);
        let of = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let count = self.pages.len() as i32;
        let (pages, encodings): (_, &[_]) = match self.dictionary {
            // Arrow's C++ looks for the dictionary in front.
            Some(_) => (
                vec![
                    of(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
                    of(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, count),
                ],
                &[Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
            ),
            None => (
                vec![of(PageType::DATA_PAGE, Encoding::DELTA_BYTE_ARRAY, count)],
                &[Encoding::RLE, Encoding::DELTA_BYTE_ARRAY],
            ),
        };
        let first = self.pages.first().map_or(0, |(_, written)| written.offset);
        let mut chunk = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(self.properties.compression(self.column.path()))
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(pages)
            .set_total_compressed_size(written().map(|page| page.compressed_size as i64).sum())
            .set_total_uncompressed_size(written().map(|page| page.uncompressed_size as i64).sum())
            .set_num_values(self.rows() as i64)
            .set_dictionary_page_offset(self.dictionary.as_ref().map(|page| page.offset as i64))
            .set_data_page_offset(first as i64);
        if self.properties.statistics_enabled(self.column.path()) != EnabledStatistics::None {
            let bytes = self.pages.iter().map(|(page, _)| page.bytes as i64).sum();
            chunk = chunk
                .set_statistics(self.statistics())
                .set_unencoded_byte_array_data_bytes(self.is_text().then_some(bytes))
                .set_definition_level_histogram(self.levels(self.rows(), self.nulls()));
        }
        Ok(chunk.build()?)
    }

    /// By which readers leave out row groups.
    fn statistics(&self) -> Statistics {
        let both = self.extremes().fold(None, |both, (min, max)| widened(widened(both, min), max));
        let (min, max) = both.unzip();
        let nulls = Some(self.nulls() as u64);
        if self.is_text() {
            let limit = self.properties.statistics_truncate_length();
            let (min, is_min) = min.map(|min| bound(min, limit, below)).unzip();
            let (max, is_max) = max.map(|max| bound(max, limit, above)).unzip();
            let [min, max] = [min, max].map(|bound| bound.map(ByteArray::from));
            ValueStatistics::new(min, max, None, nulls, false)
                .with_min_is_exact(is_min.unwrap_or(false))
                .with_max_is_exact(is_max.unwrap_or(false))
                .into()
        } else {
            let number = |value: Value<'_>| value.bytes().try_into().ok().map(i64::from_le_bytes);
            ValueStatistics::new(min.and_then(number), max.and_then(number), None, nulls, false)
                // Readers of old compare as signed, and look where only those are.
                .with_backwards_compatible_min_max(self.column.sort_order().is_signed())
                .into()
        }
    }

    /// By which they leave out those that do not have a value, where it is asked for; see BloomFilter.md of the format.
    fn bloom_filter(&self) -> Result<Option<Sbbf>> {
        let Some(properties) = self.properties.bloom_filter_properties(self.column.path()) else {
            return Ok(None);
        };
        let mut filter = Sbbf::new_with_ndv_fpp(properties.ndv(), properties.fpp())?;
        self.values.iter().for_each(|value| filter.insert(value.bytes()));
        filter.fold_to_target_fpp(properties.fpp());
        Ok(Some(filter))
    }

    /// By which readers leave out pages, where they are asked to; see PageIndex.md of the Parquet format.
    fn column_index(&self) -> Result<Option<ColumnIndexMetaData>> {
        if self.properties.statistics_enabled(self.column.path()) != EnabledStatistics::Page {
            return Ok(None);
        }
        let limit = self.properties.column_index_truncate_length();
        let mut index = ColumnIndexBuilder::new(self.column.physical_type());
        for (page, _) in &self.pages {
            let bounds =
                page.extremes.map(|(min, max)| (bound(min, limit, below).0, bound(max, limit, above).0));
            let (min, max) = bounds.unwrap_or_default();
            index.append(page.extremes.is_none(), min, max, page.nulls as i64);
            index.append_histograms(&None, &self.levels(page.rows, page.nulls));
        }
        let is_ascending = self
            .extremes()
            .is_sorted_by(|(min, max), (next_min, next_max)| min <= next_min && max <= next_max);
        let is_descending = self
            .extremes()
            .is_sorted_by(|(min, max), (next_min, next_max)| min >= next_min && max >= next_max);
        index.set_boundary_order(match (is_ascending, is_descending) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        });
        Ok(Some(index.build()?))
    }

    /// Where each page is, and which its first row is.
    fn offset_index(&self) -> OffsetIndexMetaData {
        let mut index = OffsetIndexBuilder::new();
        for (page, written) in &self.pages {
            index.append_row_count(page.rows as i64);
            index.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
            index.append_unencoded_byte_array_data_bytes(self.is_text().then_some(page.bytes as i64));
        }
        index.build()
    }

    /// How many rows are without a value, and how many have one; nothing where all must have one.
    fn levels(&self, rows: usize, nulls: usize) -> Option<LevelHistogram> {
        (self.column.max_def_level() > 0).then(|| vec![nulls as i64, (rows - nulls) as i64].into())
    }

    /// Those of the pages that have values.
    fn extremes(&self) -> impl Iterator<Item = (Value<'_>, Value<'_>)> {
        self.pages.iter().filter_map(|(page, _)| page.extremes)
    }

    /// How many rows there are, with a value or without.
    fn rows(&self) -> usize {
        self.pages.iter().map(|(page, _)| page.rows).sum()
    }

    /// How many of them are without.
    fn nulls(&self) -> usize {
        self.pages.iter().map(|(page, _)| page.nulls).sum()
    }

    /// Whether values are texts: bounds of them may be cut, and their bytes are counted.
    fn is_text(&self) -> bool {
        self.column.physical_type() == Type::BYTE_ARRAY
    }
}

/// A value as a bound of others, and whether it is itself: a text longer than the limit is cut, where it can be.
fn bound(value: Value<'_>, limit: Option<usize>, cut: fn(&str, usize) -> Option<String>) -> (Vec<u8>, bool) {
    let cut = match (value, limit) {
        (Value::Text(text), Some(limit)) => cut(text, limit),
        _ => None,
    };
    cut.map_or_else(|| (value.bytes().to_vec(), true), |cut| (cut.into_bytes(), false))
}

/// A shorter text that is not after this one; none where it is not longer than that.
fn below(text: &str, limit: usize) -> Option<String> {
    let end = text.floor_char_boundary(limit);
    (0 < end && end < text.len()).then(|| text[..end].to_owned())
}

/// A shorter text that is not before this one: what is left has the next character for its last.
fn above(text: &str, limit: usize) -> Option<String> {
    let kept = below(text, limit)?;
    kept.char_indices().rev().find_map(|(at, last)| {
        let next = char::from_u32(last as u32 + 1).filter(|next| next.len_utf8() == last.len_utf8())?;
        Some(format!("{}{next}", &kept[..at]))
    })
}
