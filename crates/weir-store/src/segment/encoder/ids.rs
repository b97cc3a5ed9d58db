//! Ids as pages: numbers in a row, as text of which only the last digits differ.
//!
//! Parquet's writer leaves out of each text what it has in common with the one before (Encodings.md, "Delta Strings").
//! That differs from row to row, and to say how long it is takes a byte. Here as much is left out everywhere as all of a
//! page have in common: then lengths take nothing, and what is left compresses as digits do.

use super::pages::{Page, put_levels};
use super::{Chunk, Encoder, NONE, Value};
use crate::Result;
use crate::compact::hex;
use crate::segment::delta;
use bytes::Bytes;
use parquet::basic::Type;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

/// Digits of an id.
const DIGITS: u32 = 16;

impl Encoder {
    /// A column chunk of ids, none where a row has none.
    ///
    /// # Errors
    /// The column is not one of texts, has a Bloom filter, or must have a value where there is none.
    pub fn ids(&mut self, column: &ColumnDescPtr, ids: &[Option<u64>]) -> Result<(Bytes, ColumnCloseResult)> {
        let path = column.path();
        if column.physical_type() != Type::BYTE_ARRAY
            || self.properties.bloom_filter_properties(path).is_some()
        {
            return Err(ParquetError::General(format!("{path} is no column of ids")).into());
        }
        let there = || ids.iter().flatten();
        let extremes =
            [there().min(), there().max()].map(|id| id.map(|id| hex(*id, &mut [0; 16]).to_owned()));
        let [min, max] = extremes.each_ref().map(|text| text.as_deref().map(Value::Text));
        let rows = ids.chunks(self.properties.data_page_row_count_limit().max(1));
        let pages = rows.map(|ids| page(ids, column.max_def_level() > 0, min.zip(max)));
        let (bytes, dictionary, pages) = self.write(None, pages.collect::<Result<_>>()?)?;
        let chunk = Chunk { column, properties: &self.properties, values: Vec::new(), dictionary, pages };
        Ok((bytes, chunk.close()?))
    }
}

fn page<'v>(
    rows: &[Option<u64>],
    is_optional: bool,
    extremes: Option<(Value<'v>, Value<'v>)>,
) -> Result<Page<'v>> {
    let ids: Vec<_> = rows.iter().copied().flatten().collect();
    let nulls = rows.len() - ids.len();
    let mut body = Vec::new();
    if is_optional {
        let keys: Vec<_> = rows.iter().map(|id| if id.is_some() { 0 } else { NONE }).collect();
        put_levels(&keys, nulls, &mut body);
    } else if nulls > 0 {
        return Err(ParquetError::General("a row has no id".into()).into());
    }
    put(&ids, &mut body);
    let bytes = u64::from(DIGITS) * ids.len() as u64;
    Ok(Page { rows: rows.len(), nulls, extremes: extremes.filter(|_| !ids.is_empty()), bytes, body })
}

/// Appends how much each has of the one before, how long the rest is, and the rest.
fn put(ids: &[u64], out: &mut Vec<u8>) {
    let first = ids.first().copied().unwrap_or(0);
    let unlike = ids.iter().fold(0, |unlike, id| unlike | (id ^ first));
    let shared = unlike.leading_zeros() / 4;
    let lengths = |of_first, of_others| {
        let mut lengths = vec![of_others; ids.len()];
        lengths.iter_mut().take(1).for_each(|length| *length = of_first);
        lengths
    };
    delta::put(&lengths(0, shared), out);
    delta::put(&lengths(DIGITS, DIGITS - shared), out);
    let mut digits = [0; 16];
    for (row, id) in ids.iter().enumerate() {
        let left_out = if row == 0 { 0 } else { shared as usize };
        out.extend_from_slice(&hex(*id, &mut digits).as_bytes()[left_out..]);
    }
}
