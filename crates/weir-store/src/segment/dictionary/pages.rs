//! The rows of a column as pages of places in its dictionary, which grows by what is new on each.

use super::{NONE, Value, Values};
use crate::Result;
use crate::segment::hybrid;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnDescriptor;

/// The smallest and the largest of some values.
pub(super) type Extremes<'v> = Option<(Value<'v>, Value<'v>)>;

/// What becomes pages.
pub(super) struct Pages<'v> {
    given: &'v Values<'v>,
    /// What is known of each of them, by key.
    known: Vec<Known>,
    /// Those that occur, in the order of their first use: this is the dictionary.
    values: Vec<Value<'v>>,
    /// How many pages there are.
    count: u32,
    is_optional: bool,
    /// Whether each page's extremes are asked for, or only those of all together.
    by_page: bool,
}

/// What is known of a value.
#[derive(Clone, Copy)]
struct Known {
    /// Where it is in the dictionary; [`NONE`] while it did not occur.
    place: u32,
    /// The page it was last on, counted from one: all but the first time on a page there is nothing to find out.
    page: u32,
    /// Bytes of a text.
    bytes: u32,
}

/// A data page before it is compressed.
#[derive(Default)]
pub(super) struct Page<'v> {
    pub rows: usize,
    pub nulls: usize,
    /// Of its values; of those that are new on it where only those of all pages are asked for.
    pub extremes: Extremes<'v>,
    /// Bytes of its texts.
    pub bytes: u64,
    pub body: Vec<u8>,
}

impl<'v> Pages<'v> {
    pub fn new(
        column: &ColumnDescriptor,
        properties: &WriterProperties,
        values: &'v Values<'v>,
    ) -> Result<Self> {
        if !values.fit(column) {
            return Err(ParquetError::General(format!("{} has values of another type", column.path())).into());
        }
        let bytes = |text: &&str| Known { place: NONE, page: 0, bytes: text.len() as u32 };
        let known = match values {
            Values::Texts(texts) => texts.iter().map(bytes).collect(),
            _ => vec![Known { place: NONE, page: 0, bytes: 0 }; values.len()],
        };
        Ok(Self {
            given: values,
            known,
            values: Vec::new(),
            count: 0,
            is_optional: column.max_def_level() > 0,
            by_page: properties.statistics_enabled(column.path()) == EnabledStatistics::Page,
        })
    }

    /// Makes the next of these rows.
    pub fn page(&mut self, keys: &[u32]) -> Result<Page<'v>> {
        self.count += 1;
        let mut page = Page { rows: keys.len(), ..Page::default() };
        let mut places = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(known) = self.known.get_mut(*key as usize) else {
                page.nulls += 1;
                if *key == NONE && self.is_optional {
                    continue;
                }
                return Err(ParquetError::General(format!("there is no value {key}")).into());
            };
            if known.page != self.count {
                known.page = self.count;
                let is_new = known.place == NONE;
                let value = self.given.get(*key).filter(|_| is_new || self.by_page);
                page.extremes = value.map_or(page.extremes, |value| widened(page.extremes, value));
                if is_new {
                    known.place = self.values.len() as u32;
                    self.values.extend(value);
                }
            }
            places.push(known.place);
            page.bytes += u64::from(known.bytes);
        }
        page.body = self.body(keys, page.nulls, &places);
        Ok(page)
    }

    /// What a data page consists of: which rows have a value, how many bits a place takes, and the places.
    ///
    /// See the Parquet format's main page, "Data Pages", and Encodings.md, "Dictionary Encoding".
    fn body(&self, keys: &[u32], nulls: usize, places: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        if self.is_optional {
            let levels = levels(keys, nulls);
            body.extend_from_slice(&(levels.len() as u32).to_le_bytes());
            body.extend_from_slice(&levels);
        }
        // Of the places known by now: early pages are narrower.
        let width = hybrid::width(self.values.len().saturating_sub(1) as u32);
        body.push(width as u8);
        hybrid::put(places, width, &mut body);
        body
    }

    /// The dictionary, when all pages are made.
    pub fn values(self) -> Vec<Value<'v>> {
        self.values
    }
}

/// The definition levels of rows: one where there is a value.
fn levels(keys: &[u32], nulls: usize) -> Vec<u8> {
    let mut levels = Vec::new();
    if nulls == 0 || nulls == keys.len() {
        hybrid::put_run(u32::from(nulls == 0), keys.len(), 1, &mut levels);
    } else {
        let each: Vec<_> = keys.iter().map(|key| u32::from(*key != NONE)).collect();
        hybrid::put(&each, 1, &mut levels);
    }
    levels
}

/// The extremes with one more value.
pub(super) fn widened<'v>(extremes: Extremes<'v>, value: Value<'v>) -> Extremes<'v> {
    Some(extremes.map_or((value, value), |(min, max)| (min.min(value), max.max(value))))
}
