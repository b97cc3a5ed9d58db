//! Columns of a row group of which more is known before they are written than their values: the distinct ones, or that
//! they are ids in a row (`ids.rs`).
//!
//! Parquet's own writer hashes the value of every row to find it in its dictionary, compares it with the smallest and
//! the largest so far, and adds it to the Bloom filter. Where rows come as places in a list of distinct values, all of
//! that is done once for each distinct value, and a row costs no more than its number.
//!
//! What is written is what that writer writes: a dictionary page, and data pages of places in it. See Encodings.md of
//! the Parquet format, "Dictionary Encoding", and the main page's "Column chunks".

mod chunk;
mod ids;
mod pages;
#[cfg(test)]
mod tests;

use crate::Result;
use bytes::Bytes;
use chunk::Chunk;
use pages::{Page, Pages};
use parquet::basic::{Compression, Encoding, SortOrder, Type, ZstdLevel};
use parquet::column::page::{self, CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::AsBytes;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};
use zstd::bulk::Compressor;

/// The key of rows that have no value.
pub(super) const NONE: u32 = u32::MAX;

/// The distinct values of a column; a row's key is its value's place in here.
#[derive(Debug)]
pub(super) enum Values<'v> {
    /// Of a column of strings.
    Texts(Vec<&'v str>),
    /// Of one of unsigned 64-bit numbers.
    Numbers(Vec<u64>),
    /// Of one of timestamps, or other signed 64-bit numbers.
    Times(Vec<i64>),
}

/// One of them, in the order of the column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Value<'v> {
    Text(&'v str),
    Number(u64),
    Time(i64),
}

impl<'v> Values<'v> {
    /// How many there are, whether they occur or not.
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Times(times) => times.len(),
        }
    }

    /// The one of a key.
    fn get(&self, key: u32) -> Option<Value<'v>> {
        let at = key as usize;
        match self {
            Self::Texts(texts) => texts.get(at).map(|text| Value::Text(text)),
            Self::Numbers(numbers) => numbers.get(at).map(|number| Value::Number(*number)),
            Self::Times(times) => times.get(at).map(|time| Value::Time(*time)),
        }
    }

    /// Whether they are what the column is of.
    fn fit(&self, column: &ColumnDescriptor) -> bool {
        let is_flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
        let (of, order) = match self {
            Self::Texts(_) => (Type::BYTE_ARRAY, SortOrder::UNSIGNED),
            Self::Numbers(_) => (Type::INT64, SortOrder::UNSIGNED),
            Self::Times(_) => (Type::INT64, SortOrder::SIGNED),
        };
        is_flat && (column.physical_type(), column.sort_order()) == (of, order)
    }
}

impl Value<'_> {
    /// As they are compared, and looked for in Bloom filters.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Number(number) => number.as_bytes(),
            Self::Time(time) => time.as_bytes(),
        }
    }

    /// Appends it as it is in a dictionary page: Encodings.md, "Plain".
    fn put(&self, out: &mut Vec<u8>) {
        if let Self::Text(text) = self {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        }
        out.extend_from_slice(self.bytes());
    }
}

/// Pages, and where each was written.
type Placed<'v> = Vec<(Page<'v>, PageWriteSpec)>;

/// Encodes columns, one after another: what compresses them is large, and made once.
pub(super) struct Encoder {
    properties: WriterPropertiesPtr,
    compressor: Compressor<'static>,
}

impl Encoder {
    /// One that writes as these say; they must be the file's.
    pub fn new(properties: WriterPropertiesPtr) -> Result<Self> {
        let compressor =
            Compressor::new(ZstdLevel::default().compression_level()).map_err(ParquetError::from)?;
        Ok(Self { properties, compressor })
    }

    /// A column chunk, to be appended to a row group with what there is to say about it.
    ///
    /// # Errors
    /// The values are not of the column's type, a key is none of theirs, a value is missing where there must be one, or
    /// the properties ask for another compression than Zstandard.
    pub fn chunk(
        &mut self,
        column: &ColumnDescPtr,
        values: &Values<'_>,
        keys: &[u32],
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let Compression::ZSTD(level) = self.properties.compression(column.path()) else {
            return Err(ParquetError::NYI("compression other than Zstandard".into()).into());
        };
        self.compressor.set_compression_level(level.compression_level()).map_err(ParquetError::from)?;
        let mut pages = Pages::new(column, &self.properties, values)?;
        let rows = keys.chunks(self.properties.data_page_row_count_limit().max(1));
        let data = rows.map(|keys| pages.page(keys)).collect::<Result<Vec<_>>>()?;
        let values = pages.values();
        let (bytes, dictionary, pages) = self.write(Some(&values), data)?;
        let chunk = Chunk { column, properties: &self.properties, values, dictionary, pages };
        Ok((bytes, chunk.close()?))
    }

    /// All pages one after another, and where they are. A dictionary is first, though it is made last.
    fn write<'v>(
        &mut self,
        values: Option<&[Value<'_>]>,
        pages: Vec<Page<'v>>,
    ) -> Result<(Bytes, Option<PageWriteSpec>, Placed<'v>)> {
        let mut file = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut file);
        let mut dictionary = None;
        if let Some(values) = values {
            let mut plain = Vec::new();
            values.iter().for_each(|value| value.put(&mut plain));
            let page = page::Page::DictionaryPage {
                buf: self.compressed(&plain)?,
                num_values: values.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            dictionary = Some(writer.write_page(CompressedPage::new(page, plain.len()))?);
        }
        let encoding =
            if dictionary.is_some() { Encoding::RLE_DICTIONARY } else { Encoding::DELTA_BYTE_ARRAY };
        let write = |page: Page<'v>| {
            let data = page::Page::DataPage {
                buf: self.compressed(&page.body)?,
                num_values: page.rows as u32,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let written = writer.write_page(CompressedPage::new(data, page.body.len()))?;
            Ok((page, written))
        };
        let pages = pages.into_iter().map(write).collect::<Result<_>>()?;
        writer.close()?;
        Ok((file.into_inner()?.into(), dictionary, pages))
    }

    /// What a page's header is followed by.
    fn compressed(&mut self, plain: &[u8]) -> Result<Bytes> {
        Ok(self.compressor.compress(plain).map_err(ParquetError::from)?.into())
    }
}
