//! Batches as the log and memory hold them, each column in as little as it needs; [`project`] makes them whole.
//!
//! - A column in which nothing was ever there is not there: most columns of most batches are so.
//! - Numbers are as wide as the largest of the batch: most are small, and half of them 0.
//! - Texts of flow records are numbers, too, with a dictionary beside them; their ids are the numbers that they are, not
//!   the hexadecimal digits, and sets of small numbers are bits. Other tables have few rows.

use crate::{Error, Result};
use arrow_array::builder::{ListBuilder, StringBuilder, UInt8Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, PrimitiveArray, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field as Arrow, FieldRef, Schema, SchemaRef};
use arrow_select::take::take;
use std::collections::HashMap;
use std::sync::Arc;
use weir_record::set_bits;

/// A batch that is put together.
#[derive(Default)]
pub(crate) struct Compact {
    fields: Vec<FieldRef>,
    arrays: Vec<ArrayRef>,
}

impl Compact {
    /// Adds a column of a table, as long or as short as it is.
    pub fn add(&mut self, field: &FieldRef, array: ArrayRef) {
        self.fields.push(match field.data_type() == array.data_type() {
            true => Arc::clone(field),
            false => Arc::new(Arrow::new(field.name(), array.data_type().clone(), field.is_nullable())),
        });
        self.arrays.push(array);
    }

    /// The batch, `rows` long.
    pub fn finish(self, rows: usize) -> Result<RecordBatch> {
        batch(Schema::new(self.fields), self.arrays, rows)
    }
}

fn batch(schema: Schema, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(Error::Arrow)
}

/// Numbers in as few bytes as the largest of them needs.
pub(crate) fn narrowed(numbers: &[u64], nulls: Option<NullBuffer>) -> ArrayRef {
    fn cast<T: ArrowPrimitiveType>(
        numbers: &[u64],
        nulls: Option<NullBuffer>,
        narrow: impl Fn(u64) -> T::Native,
    ) -> ArrayRef {
        let values: Vec<_> = numbers.iter().map(|number| narrow(*number)).collect();
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
    }
    // As long as the largest of them; faster to find.
    let bits = numbers.iter().fold(0, |bits, number| bits | number);
    match u64::BITS - bits.leading_zeros() {
        0..=8 => cast::<UInt8Type>(numbers, nulls, |number| number as u8),
        9..=16 => cast::<UInt16Type>(numbers, nulls, |number| number as u16),
        17..=32 => cast::<UInt32Type>(numbers, nulls, |number| number as u32),
        _ => cast::<UInt64Type>(numbers, nulls, |number| number),
    }
}

/// The same of a column, if it is one of numbers.
pub(crate) fn shorter(column: ArrayRef) -> ArrayRef {
    match column.as_primitive_opt::<UInt64Type>() {
        Some(numbers) => narrowed(numbers.values(), numbers.nulls().cloned()),
        None => column,
    }
}

/// What [`narrowed`] was made of; none where the column holds no numbers.
pub(crate) fn widened(column: &dyn Array) -> Option<UInt64Array> {
    Some(match column.data_type() {
        DataType::UInt8 => column.as_primitive::<UInt8Type>().unary(u64::from),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().unary(u64::from),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().unary(u64::from),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().clone(),
        _ => return None,
    })
}

/// An id as text, as [`Id`](weir_record::Id) is written.
pub(crate) fn hex(id: u64, digits: &mut [u8; 16]) -> &str {
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(id >> (60 - 4 * place) & 15) as usize];
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Ids as texts.
pub(crate) fn ids(numbers: &UInt64Array) -> ArrayRef {
    let mut texts = StringBuilder::with_capacity(numbers.len(), 16 * numbers.len());
    for number in numbers {
        match number {
            Some(id) => texts.append_value(hex(id, &mut [0; 16])),
            None => texts.append_null(),
        }
    }
    Arc::new(texts.finish())
}

/// Sets of small numbers, of bits.
pub(crate) fn sets(numbers: &UInt64Array) -> ArrayRef {
    let mut sets = set_builder();
    for number in numbers {
        sets.values().extend(number.into_iter().flat_map(set_bits).map(Some));
        sets.append(number.is_some());
    }
    Arc::new(sets.finish())
}

/// What builds columns of them.
pub(crate) fn set_builder() -> ListBuilder<UInt8Builder> {
    ListBuilder::new(UInt8Builder::new()).with_field(Arrow::new_list_field(DataType::UInt8, false))
}

/// A column as readers know it; one that is none of these is left as it is.
fn whole(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if column.data_type() == kind {
        return Ok(Arc::clone(column));
    }
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        return Ok(take(dictionary.values(), dictionary.keys(), None)?);
    }
    Ok(match (widened(column), kind) {
        (Some(numbers), DataType::Utf8) => ids(&numbers),
        (Some(numbers), DataType::List(_)) => sets(&numbers),
        (Some(numbers), _) => Arc::new(numbers),
        (None, _) => Arc::clone(column),
    })
}

/// Leaves out the columns of which every value is null.
pub(crate) fn narrow(whole: &RecordBatch) -> Result<RecordBatch> {
    let (schema, rows) = (whole.schema(), whole.num_rows());
    let kept: Vec<_> = (0..whole.num_columns()).filter(|at| whole.column(*at).null_count() < rows).collect();
    let fields: Vec<_> = kept.iter().map(|at| Arc::clone(&schema.fields()[*at])).collect();
    let arrays = kept.iter().map(|at| Arc::clone(whole.column(*at))).collect();
    batch(Schema::new(fields), arrays, rows)
}

/// Nulls of each type, shared by the columns that are made of them.
#[derive(Default)]
pub(crate) struct Nulls(HashMap<DataType, ArrayRef>);

impl Nulls {
    /// So many.
    fn of(&mut self, kind: &DataType, rows: usize) -> ArrayRef {
        let held = self.0.get(kind).filter(|held| held.len() >= rows).cloned();
        let nulls = held.unwrap_or_else(|| {
            let made = new_null_array(kind, rows);
            self.0.insert(kind.clone(), Arc::clone(&made));
            made
        });
        nulls.slice(0, rows)
    }
}

/// The columns of this schema; those that the batch does not have are null.
///
/// # Errors
/// One that may not be null is missing, or of another type: it is no batch of the schema's table.
pub(crate) fn project(schema: &SchemaRef, batch: &RecordBatch, nulls: &mut Nulls) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
        Some(column) => whole(column, field.data_type()),
        None => Ok(nulls.of(field.data_type(), rows)),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(Error::Arrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;
    use weir_record::Kind;

    #[test]
    fn numbers_are_as_wide_as_they_need_and_whole_again() {
        let tops = [0, 255, 256, 65_535, 65_536, u32::MAX.into(), 1 << 32, u64::MAX];
        let fields = Table::flows().schema().fields();
        let numbers = Table::flows()
            .columns
            .iter()
            .zip(fields)
            .filter(|(column, _)| column.kind == Kind::Number && column.nullable);
        let mut compact = Compact::default();
        let columns: Vec<_> = tops.iter().zip(numbers.map(|(_, field)| field)).collect();
        for (top, field) in &columns {
            compact.add(field, shorter(Arc::new(UInt64Array::from(vec![Some(**top), None, Some(0)]))));
        }
        let short = compact.finish(3).expect("a batch");
        let widths = short.columns().iter().map(|column| column.data_type().primitive_width());
        assert_eq!(widths.collect::<Vec<_>>(), [1, 1, 2, 2, 4, 4, 8, 8].map(Some));
        for (top, field) in columns {
            let column = short.column_by_name(field.name()).expect("it is there");
            let whole = whole(column, &DataType::UInt64).expect("numbers");
            assert_eq!(*whole, UInt64Array::from(vec![Some(*top), None, Some(0)]));
        }
    }

    #[test]
    fn ids_are_written_as_elsewhere() {
        for id in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(hex(id, &mut [0; 16]), weir_record::Id(id).to_string());
        }
    }
}
