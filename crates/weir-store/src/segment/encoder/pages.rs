//! The rows of a column as pages of places in its dictionary, which grows by what is new on each.

use super::{NONE, Value, Values};
use crate::segment::hybrid;
use crate::{Error, Result};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnDescriptor;

/// The smallest and the largest of some values.
pub(super) type Extremes<'v> = Option<(Value<'v>, Value<'v>)>;

/// What becomes pages.
pub(super) struct Pages<'v> {
    /// What is known of each value, by key.
    known: Vec<Known>,
    dictionary: Dictionary<'v>,
    /// Whether rows may be without a value.
    is_optional: bool,
}

/// The values that occur so far.
struct Dictionary<'v> {
    /// Those by whose keys rows come.
    given: &'v Values<'v>,
    /// In the order of their first use.
    values: Vec<Value<'v>>,
    /// Whether each page's extremes are asked for, or only those of all together.
    by_page: bool,
    /// The number of the page that is made, from one on.
    page: u32,
    /// Its extremes as far as it is made.
    extremes: Extremes<'v>,
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
pub(super) struct Page<'v> {
    pub rows: usize,
    pub nulls: usize,
    /// Of its values; of those that are new on it where only those of all pages are asked for.
    pub extremes: Extremes<'v>,
    /// Bytes of its texts.
    pub bytes: u64,
    /// What is compressed: levels and places.
    pub body: Vec<u8>,
}

impl<'v> Pages<'v> {
    /// None of them yet.
    ///
    /// # Errors
    /// The values are not of the column's type.
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
        let by_page = properties.statistics_enabled(column.path()) == EnabledStatistics::Page;
        let dictionary = Dictionary { given: values, values: Vec::new(), by_page, page: 0, extremes: None };
        Ok(Self { known, dictionary, is_optional: column.max_def_level() > 0 })
    }

    /// Makes the next of these rows.
    ///
    /// # Errors
    /// A key is none of the values', or a row is without a value that must have one.
    pub fn page(&mut self, keys: &[u32]) -> Result<Page<'v>> {
        let page = self.dictionary.turn();
        let (mut places, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        // Most columns are the same for whole stretches of rows: each of those is looked up once.
        for same in keys.chunk_by(|key, next| key == next) {
            let key = same.first().copied().unwrap_or(NONE);
            let Some(known) = self.known.get_mut(key as usize) else {
                if key == NONE && self.is_optional {
                    continue;
                }
                return Err(unknown(key));
            };
            if known.page != page {
                self.dictionary.meet(key, known);
            }
            places.resize(places.len() + same.len(), known.place);
            bytes += u64::from(known.bytes) * same.len() as u64;
        }
        let nulls = keys.len() - places.len();
        let body = self.body(keys, nulls, &places);
        Ok(Page { rows: keys.len(), nulls, extremes: self.dictionary.extremes, bytes, body })
    }

    /// What a data page consists of: which rows have a value, how many bits a place takes, and the places.
    ///
    /// See the Parquet format's main page, "Data Pages", and Encodings.md, "Dictionary Encoding".
    fn body(&self, keys: &[u32], nulls: usize, places: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        if self.is_optional {
            put_levels(keys, nulls, &mut body);
        }
        // Of the places known by now: early pages are narrower.
        let width = hybrid::width(self.dictionary.values.len().saturating_sub(1) as u32);
        body.push(width as u8);
        hybrid::put(places, width, &mut body);
        body
    }

    /// The dictionary, when all pages are made.
    pub fn values(self) -> Vec<Value<'v>> {
        self.dictionary.values
    }
}

impl<'v> Dictionary<'v> {
    /// The next page's number.
    fn turn(&mut self) -> u32 {
        self.extremes = None;
        self.page += 1;
        self.page
    }

    /// Takes note of a value that is on this page for the first time; a new one gets its place.
    #[cold]
    fn meet(&mut self, key: u32, known: &mut Known) {
        known.page = self.page;
        let is_new = known.place == NONE;
        let Some(value) = self.given.get(key).filter(|_| is_new || self.by_page) else { return };
        self.extremes = widened(self.extremes, value);
        if is_new {
            known.place = self.values.len() as u32;
            self.values.push(value);
        }
    }
}

/// Out of the way of the rows.
#[cold]
fn unknown(key: u32) -> Error {
    ParquetError::General(format!("there is no value {key}")).into()
}

/// Appends the definition levels of rows, one where there is a value, and before them how long they are.
pub(super) fn put_levels(keys: &[u32], nulls: usize, out: &mut Vec<u8>) {
    let mut levels = Vec::new();
    if nulls == 0 || nulls == keys.len() {
        hybrid::put_run(u32::from(nulls == 0), keys.len(), 1, &mut levels);
    } else {
        let each: Vec<_> = keys.iter().map(|key| u32::from(*key != NONE)).collect();
        hybrid::put(&each, 1, &mut levels);
    }
    out.extend_from_slice(&(levels.len() as u32).to_le_bytes());
    out.extend_from_slice(&levels);
}

/// The extremes with one more value.
pub(super) fn widened<'v>(extremes: Extremes<'v>, value: Value<'v>) -> Extremes<'v> {
    Some(extremes.map_or((value, value), |(min, max)| (min.min(value), max.max(value))))
}
