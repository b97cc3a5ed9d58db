//! The columns of a row group: each out of all its batches, to be put in order one after the other. So what is at work
//! fits the cache, and there is no second copy of all of them.

#[cfg(test)]
mod tests;

use super::encoder::NONE;
use crate::compact::{hex, ids, sets, widened};
use crate::table::{Column, Table};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, TimestampNanosecondType, UInt8Type, UInt16Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, PrimitiveArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, NullBufferBuilder};
use arrow_schema::{ArrowError, DataType};
use arrow_select::concat::concat;
use arrow_select::take::take;
use hashbrown::HashMap;
use std::sync::Arc;
use weir_record::Kind;

/// Batches of a table, of which a row group is made.
pub(super) struct Group<'b> {
    table: &'static Table,
    batches: &'b [RecordBatch],
    /// Where the table's columns are in each batch.
    places: Vec<Vec<Option<usize>>>,
    pub rows: usize,
}

/// A column of all rows, or of as many as were taken.
pub(super) enum Flat<'b> {
    /// There is nothing in it.
    Nothing,
    Texts(Texts<'b>),
    Numbers(Numbers),
    /// Numbers of which there are few.
    Coded(Coded),
    Other(ArrayRef),
}

/// Texts, each once, and which of them the rows have.
#[derive(Default)]
pub(super) struct Texts<'b> {
    pub values: Vec<&'b str>,
    /// Places in `values`, or [`NONE`].
    pub keys: Vec<u32>,
}

/// Numbers, times, ids and sets of small numbers.
pub(super) struct Numbers {
    pub values: Vec<u64>,
    pub nulls: Option<NullBuffer>,
}

/// Numbers, each once, and which of them the rows have.
#[derive(Default)]
pub(super) struct Coded {
    pub values: Vec<u64>,
    /// Places in `values`, or [`NONE`].
    pub keys: Vec<u32>,
}

impl<'b> Group<'b> {
    /// Of these batches, all of them compact or all whole.
    pub fn new(table: &'static Table, batches: &'b [RecordBatch]) -> Self {
        let places = batches.iter().map(|batch| places(table, batch)).collect();
        Self { table, batches, places, rows: batches.iter().map(RecordBatch::num_rows).sum() }
    }

    /// The column of this name; nothing where the table has none.
    pub fn named(&self, name: &str) -> Result<Flat<'b>> {
        let at = self.table.columns.iter().position(|column| column.name == name);
        at.map_or(Ok(Flat::Nothing), |at| self.flat(at))
    }

    /// The column of the table that has this place, batch after batch.
    ///
    /// # Errors
    /// It is of another type than the table says.
    pub fn flat(&self, at: usize) -> Result<Flat<'b>> {
        let part = |(batch, places): (&'b RecordBatch, &Vec<Option<usize>>)| {
            (places.get(at).copied().flatten().map(|place| batch.column(place)), batch.num_rows())
        };
        let parts = || self.batches.iter().zip(&self.places).map(part);
        let Some(first) = parts().find_map(|(part, _)| part) else { return Ok(Flat::Nothing) };
        let column = &self.table.columns[at];
        if self.table.layout.ids.contains(&column.name)
            && let Some(ids) = ids_of(parts())
        {
            return Ok(Flat::Numbers(ids));
        }
        match column.kind {
            Kind::Flag | Kind::Bits | Kind::Observations if !first.data_type().is_primitive() => {
                let kind = first.data_type();
                let part = |(part, rows): (Option<&ArrayRef>, usize)| match part {
                    Some(part) => Arc::clone(part),
                    None => new_null_array(kind, rows),
                };
                let parts: Vec<_> = parts().map(part).collect();
                Ok(Flat::Other(concat(&parts.iter().map(|part| &**part).collect::<Vec<_>>())?))
            }
            Kind::Text | Kind::Address if !first.data_type().is_primitive() => {
                let (mut texts, mut known) = (Texts::default(), HashMap::new());
                texts.keys.reserve(self.rows);
                for (part, rows) in parts() {
                    texts.add(&mut known, part, rows)?;
                }
                Ok(Flat::Texts(texts))
            }
            _ if parts().flat_map(|(part, _)| part).all(|part| is_short(part)) => {
                Ok(Flat::Coded(Coded::of(parts(), self.rows)))
            }
            _ => {
                let (mut values, mut nulls) =
                    (Vec::with_capacity(self.rows), NullBufferBuilder::new(self.rows));
                for (part, rows) in parts() {
                    add_numbers(&mut values, &mut nulls, part, rows)?;
                }
                Ok(Flat::Numbers(Numbers { values, nulls: nulls.finish() }))
            }
        }
    }
}

/// Ids, be they numbers or written out; none where there is anything else among them.
fn ids_of<'b>(parts: impl Iterator<Item = (Option<&'b ArrayRef>, usize)>) -> Option<Numbers> {
    let mut ids = Vec::new();
    for (part, rows) in parts {
        match part {
            None => ids.extend(std::iter::repeat_n(None, rows)),
            Some(part) => match part.as_string_opt::<i32>() {
                None => ids.extend(widened(part)?.iter()),
                Some(texts) => {
                    for text in texts {
                        let Some(text) = text else {
                            ids.push(None);
                            continue;
                        };
                        let id = u64::from_str_radix(text, 16).ok()?;
                        (hex(id, &mut [0; 16]) == text).then(|| ids.push(Some(id)))?;
                    }
                }
            },
        }
    }
    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(ids.len(), |row| ids[row].is_some()));
    Some(Numbers { values: ids.into_iter().map(Option::unwrap_or_default).collect(), nulls: Some(nulls) })
}

/// Names are compared once for all columns, and not for each of them: most batches have them in the table's order.
fn places(table: &Table, batch: &RecordBatch) -> Vec<Option<usize>> {
    let (fields, mut next) = (batch.schema_ref().fields(), 0);
    let place = |column: &Column| {
        let is_next = fields.get(next).is_some_and(|field| field.name() == column.name);
        next += usize::from(is_next);
        is_next.then(|| next - 1)
    };
    let in_order: Vec<_> = table.columns.iter().map(place).collect();
    if next == fields.len() {
        return in_order;
    }
    table.columns.iter().map(|column| batch.schema_ref().index_of(column.name).ok()).collect()
}

fn strange(part: &dyn Array) -> Error {
    Error::Arrow(ArrowError::SchemaError(format!("a column of {}", part.data_type())))
}

impl<'b> Texts<'b> {
    fn add(
        &mut self,
        known: &mut HashMap<&'b str, u32>,
        part: Option<&'b ArrayRef>,
        rows: usize,
    ) -> Result<()> {
        let mut enter = |values: &mut Vec<&'b str>, text: Option<&'b str>| match text {
            None => NONE,
            Some(text) => *known.entry(text).or_insert_with(|| {
                values.push(text);
                values.len() as u32 - 1
            }),
        };
        let Some(part) = part else {
            self.keys.extend(std::iter::repeat_n(NONE, rows));
            return Ok(());
        };
        if let Some(texts) = part.as_string_opt::<i32>() {
            self.keys.extend(texts.iter().map(|text| enter(&mut self.values, text)));
            return Ok(());
        }
        let dictionary = part.as_any_dictionary_opt().ok_or_else(|| strange(part))?;
        if dictionary.values().is_empty() {
            self.keys.extend(std::iter::repeat_n(NONE, rows));
            return Ok(());
        }
        let texts = dictionary.values().as_string_opt::<i32>().ok_or_else(|| strange(part))?;
        let keys: Vec<_> = texts.iter().map(|text| enter(&mut self.values, text)).collect();
        let of = dictionary.normalized_keys().into_iter().map(|key| keys.get(key).copied().unwrap_or(NONE));
        match dictionary.nulls() {
            None => self.keys.extend(of),
            Some(nulls) => self.keys.extend(of.zip(nulls).map(|(key, there)| if there { key } else { NONE })),
        }
        Ok(())
    }
}

/// Whether a table of all values that there may be is small.
fn is_short(part: &dyn Array) -> bool {
    matches!(part.data_type(), DataType::UInt8 | DataType::UInt16)
}

impl Coded {
    fn of<'b>(parts: impl Iterator<Item = (Option<&'b ArrayRef>, usize)>, rows: usize) -> Self {
        let (mut coded, mut known) = (Self::default(), vec![NONE; 1 << 16]);
        coded.keys.reserve(rows);
        for (part, rows) in parts {
            let short = part.and_then(|part| part.as_primitive_opt::<UInt8Type>());
            let long = part.and_then(|part| part.as_primitive_opt::<UInt16Type>());
            match (short, long) {
                (Some(part), _) => coded.add(&mut known, part),
                (_, Some(part)) => coded.add(&mut known, part),
                (None, None) => coded.keys.extend(std::iter::repeat_n(NONE, rows)),
            }
        }
        coded
    }

    fn add<T: ArrowPrimitiveType<Native: Into<u64>>>(&mut self, known: &mut [u32], part: &PrimitiveArray<T>) {
        let values = &mut self.values;
        let mut enter = |number: &T::Native| {
            let number: u64 = (*number).into();
            let key = &mut known[number as usize];
            if *key == NONE {
                *key = values.len() as u32;
                values.push(number);
            }
            *key
        };
        match part.nulls() {
            None => self.keys.extend(part.values().iter().map(enter)),
            Some(nulls) => {
                let there = part.values().iter().zip(nulls);
                self.keys.extend(there.map(|(number, there)| if there { enter(number) } else { NONE }));
            }
        }
    }

    /// The same, row by row.
    pub fn numbers(self) -> Numbers {
        let value = |key: &u32| self.values.get(*key as usize).copied().unwrap_or(0);
        let values = self.keys.iter().map(value).collect();
        let there =
            NullBuffer::new(BooleanBuffer::collect_bool(self.keys.len(), |row| self.keys[row] != NONE));
        Numbers { values, nulls: Some(there) }
    }
}

fn add_numbers(
    values: &mut Vec<u64>,
    nulls: &mut NullBufferBuilder,
    part: Option<&ArrayRef>,
    rows: usize,
) -> Result<()> {
    let Some(part) = part else {
        values.extend(std::iter::repeat_n(0, rows));
        nulls.append_n_nulls(rows);
        return Ok(());
    };
    if let Some(times) = part.as_primitive_opt::<TimestampNanosecondType>() {
        values.extend(times.values().iter().map(|time| *time as u64));
    } else {
        values.extend_from_slice(widened(part).ok_or_else(|| strange(part))?.values());
    }
    match part.nulls() {
        Some(part) => nulls.append_buffer(part),
        None => nulls.append_n_non_nulls(rows),
    }
    Ok(())
}

impl Texts<'_> {
    /// The array of them.
    fn array(self) -> Result<ArrayRef> {
        let nulls = NullBuffer::new(self.keys.iter().map(|key| *key != NONE).collect());
        let keys = self.keys.into_iter().map(|key| if key == NONE { 0 } else { key });
        let keys = UInt32Array::new(keys.collect::<Vec<_>>().into(), Some(nulls));
        Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(self.values)))?))
    }
}

impl Numbers {
    /// Each, where there is one.
    pub fn each(&self) -> Vec<Option<u64>> {
        let there = |row| self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        self.values.iter().enumerate().map(|(row, value)| there(row).then_some(*value)).collect()
    }

    /// Each number once, and which of them the rows have; none where there are more than so many.
    pub fn coded(&self, most: usize) -> Option<Coded> {
        let (mut distinct, mut known) = (Vec::new(), HashMap::new());
        let mut keys = Vec::with_capacity(self.values.len());
        for (row, number) in self.values.iter().enumerate() {
            if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                keys.push(NONE);
                continue;
            }
            let key = *known.entry(*number).or_insert_with(|| {
                distinct.push(*number);
                distinct.len() as u32 - 1
            });
            if distinct.len() > most {
                return None;
            }
            keys.push(key);
        }
        Some(Coded { values: distinct, keys })
    }

    /// The array of them, as the table has it.
    fn array(self, kind: &DataType) -> ArrayRef {
        match kind {
            DataType::Timestamp(..) => {
                let times: Vec<_> = self.values.into_iter().map(|time| time as i64).collect();
                let times = PrimitiveArray::<TimestampNanosecondType>::new(times.into(), self.nulls);
                Arc::new(times.with_data_type(kind.clone()))
            }
            DataType::Utf8 => ids(&UInt64Array::new(self.values.into(), self.nulls)),
            DataType::List(_) => sets(&UInt64Array::new(self.values.into(), self.nulls)),
            _ => Arc::new(UInt64Array::new(self.values.into(), self.nulls)),
        }
    }
}

impl Flat<'_> {
    /// Whether there is a row without a value.
    pub fn has_nulls(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Texts(texts) => texts.keys.contains(&NONE),
            Self::Numbers(numbers) => numbers.nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0),
            Self::Coded(coded) => coded.keys.contains(&NONE),
            Self::Other(array) => array.null_count() > 0,
        }
    }

    /// The array of it, so long, as the table has it.
    pub fn array(self, kind: &DataType, rows: usize) -> Result<ArrayRef> {
        match self {
            Self::Nothing => Ok(new_null_array(kind, rows)),
            Self::Texts(texts) => texts.array(),
            Self::Numbers(numbers) => Ok(numbers.array(kind)),
            Self::Coded(coded) => Ok(coded.numbers().array(kind)),
            Self::Other(array) => Ok(array),
        }
    }

    /// These rows of it.
    pub fn taken(self, rows: &[u32]) -> Result<Self> {
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::Texts(Texts { values, keys }) => Self::Texts(Texts { values, keys: pick(&keys, rows) }),
            Self::Numbers(Numbers { values, nulls }) => {
                let there = |nulls: NullBuffer| {
                    let there =
                        BooleanBuffer::collect_bool(rows.len(), |at| nulls.is_valid(rows[at] as usize));
                    NullBuffer::new(there)
                };
                Self::Numbers(Numbers { values: pick(&values, rows), nulls: nulls.map(there) })
            }
            Self::Coded(Coded { values, keys }) => Self::Coded(Coded { values, keys: pick(&keys, rows) }),
            Self::Other(array) => Self::Other(take(&array, &UInt32Array::from(rows.to_vec()), None)?),
        })
    }
}

fn pick<T: Copy + PartialEq>(all: &[T], rows: &[u32]) -> Vec<T> {
    // Many columns are the same in all rows, and to see that is faster than to look each up.
    if let Some(first) = all.first().filter(|first| all.iter().all(|one| one == *first)) {
        return vec![*first; rows.len()];
    }
    rows.iter().map(|row| all[*row as usize]).collect()
}
