//! Columns under construction: values in, a record batch out.
//!
//! A column in which nothing was ever there is not in the batch: most columns of most batches are so, and neither the
//! log nor the memory has to carry them. [`project`] puts them back.

use crate::table::{Table, observation_fields};
use crate::{Error, Result};
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, ListBuilder, StringBuilder, StructBuilder, TimestampNanosecondBuilder,
    UInt8Builder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field as Arrow, FieldRef, Schema, SchemaRef};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use weir_record::{Kind, Layer, Observation, Value, set_bits};

/// One column.
pub(crate) struct Growing {
    builder: Builder,
    /// Nulls since the last value: they are entered when one follows, or at the end.
    absent: usize,
    /// Whether there was a value.
    present: bool,
}

enum Builder {
    Time(TimestampNanosecondBuilder),
    Text(StringBuilder),
    Number(UInt64Builder),
    Flag(BooleanBuilder),
    Bits(ListBuilder<UInt8Builder>),
    Observations(ListBuilder<StructBuilder>),
}

impl Growing {
    pub fn new(kind: Kind) -> Self {
        let builder = match kind {
            Kind::Time => Builder::Time(TimestampNanosecondBuilder::new().with_timezone("UTC")),
            Kind::Text | Kind::Address => Builder::Text(StringBuilder::new()),
            Kind::Number => Builder::Number(UInt64Builder::new()),
            Kind::Flag => Builder::Flag(BooleanBuilder::new()),
            Kind::Bits => {
                let item = Arrow::new_list_field(DataType::UInt8, false);
                Builder::Bits(ListBuilder::new(UInt8Builder::new()).with_field(item))
            }
            Kind::Observations => {
                let fields = observation_fields();
                let item = Arrow::new_list_field(DataType::Struct(fields.clone()), false);
                Builder::Observations(
                    ListBuilder::new(StructBuilder::from_fields(fields, 0)).with_field(item),
                )
            }
        };
        Self { builder, absent: 0, present: false }
    }

    /// Adds a value; one of another kind than the column's counts as none.
    pub fn push(&mut self, value: Value<'_>) {
        if matches!(value, Value::Absent) {
            self.absent += 1;
            return;
        }
        if self.absent > 0 {
            self.fill();
        }
        self.present = true;
        match (&mut self.builder, value) {
            // Arrow's times end in the year 2262.
            (Builder::Time(times), Value::Time(nanos)) => {
                times.append_value(i64::try_from(nanos).unwrap_or(i64::MAX))
            }
            (Builder::Number(numbers), Value::Number(number)) => numbers.append_value(number),
            (Builder::Text(texts), Value::Text(text)) => texts.append_value(text),
            (Builder::Text(texts), Value::Address(address)) => written(texts, format_args!("{address}")),
            (Builder::Text(texts), Value::Id(id)) => written(texts, format_args!("{id}")),
            (Builder::Flag(flags), Value::Flag(flag)) => flags.append_value(flag),
            (Builder::Bits(lists), Value::Bits(bits)) => {
                lists.values().extend(set_bits(bits).map(Some));
                lists.append(true);
            }
            (Builder::Observations(lists), Value::Observations(all)) => {
                all.iter().for_each(|one| observe(lists.values(), one));
                lists.append(true);
            }
            _ => self.absent += 1,
        }
    }

    fn fill(&mut self) {
        let absent = std::mem::take(&mut self.absent);
        match &mut self.builder {
            Builder::Time(times) => times.append_nulls(absent),
            Builder::Text(texts) => texts.append_nulls(absent),
            Builder::Number(numbers) => numbers.append_nulls(absent),
            Builder::Flag(flags) => flags.append_nulls(absent),
            Builder::Bits(lists) => (0..absent).for_each(|_| lists.append(false)),
            Builder::Observations(lists) => (0..absent).for_each(|_| lists.append(false)),
        }
    }

    /// The column, where there is anything in it; begins anew.
    fn finish(&mut self) -> Option<ArrayRef> {
        if !std::mem::take(&mut self.present) {
            self.absent = 0;
            return None;
        }
        self.fill();
        Some(match &mut self.builder {
            Builder::Time(times) => ArrayBuilder::finish(times),
            Builder::Text(texts) => ArrayBuilder::finish(texts),
            Builder::Number(numbers) => ArrayBuilder::finish(numbers),
            Builder::Flag(flags) => ArrayBuilder::finish(flags),
            Builder::Bits(lists) => ArrayBuilder::finish(lists),
            Builder::Observations(lists) => ArrayBuilder::finish(lists),
        })
    }
}

fn written(texts: &mut StringBuilder, text: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = texts.write_fmt(text);
    texts.append_value("");
}

fn observe(row: &mut StructBuilder, one: &Observation) {
    fn put<B: ArrayBuilder>(row: &mut StructBuilder, place: usize, put: impl FnOnce(&mut B)) {
        if let Some(builder) = row.field_builder::<B>(place) {
            put(builder);
        }
    }
    put(row, 0, |it: &mut StringBuilder| it.append_value(&*one.interface.netns));
    put(row, 1, |it: &mut StringBuilder| it.append_value(&one.interface.name));
    put(row, 2, |it: &mut UInt64Builder| it.append_value(one.interface.index.into()));
    put(row, 3, |it: &mut StringBuilder| it.append_value(one.direction.as_str()));
    put(row, 4, |it: &mut BooleanBuilder| it.append_value(one.layer == Layer::Inner));
    put(row, 5, |it: &mut UInt64Builder| it.append_option(one.vlan.map(u64::from)));
    put(row, 6, |it: &mut BooleanBuilder| it.append_value(one.translated));
    put(row, 7, |it: &mut BooleanBuilder| it.append_value(one.reverse));
    put(row, 8, |it: &mut UInt64Builder| it.append_value(one.count.packets));
    put(row, 9, |it: &mut UInt64Builder| it.append_value(one.count.bytes));
    row.append(true);
}

/// All columns of a table, growing.
pub(crate) struct Columns {
    table: &'static Table,
    pub growing: Vec<Growing>,
}

impl Columns {
    pub fn new(table: &'static Table) -> Self {
        let growing = table.columns.iter().map(|column| Growing::new(column.kind)).collect();
        Self { table, growing }
    }

    /// The columns that have anything in them, `rows` long; begins anew.
    pub fn finish(&mut self, rows: usize) -> Result<RecordBatch> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (field, growing) in self.table.schema().fields().iter().zip(&mut self.growing) {
            if let Some(array) = growing.finish() {
                fields.push(Arc::clone(field));
                arrays.push(array);
            }
        }
        batch(Schema::new(fields), arrays, rows)
    }
}

fn batch(schema: Schema, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(Error::Arrow)
}

/// The same with each number in as few bytes as the largest of its column needs, as it is in memory and in the log: most
/// are small, and half of them 0. [`project`] makes them as long as readers know them.
pub(crate) fn shortened(whole: &RecordBatch) -> Result<RecordBatch> {
    let arrays: Vec<_> = whole.columns().iter().map(shorter).collect();
    let schema = whole.schema();
    let fields = schema.fields().iter().zip(&arrays);
    let fields: Vec<_> = fields.map(|(field, array)| retyped(field, array)).collect();
    batch(Schema::new(fields), arrays, whole.num_rows())
}

fn retyped(field: &FieldRef, array: &ArrayRef) -> FieldRef {
    if field.data_type() == array.data_type() {
        return Arc::clone(field);
    }
    Arc::new(Arrow::new(field.name(), array.data_type().clone(), field.is_nullable()))
}

fn shorter(column: &ArrayRef) -> ArrayRef {
    let Some(numbers) = column.as_primitive_opt::<UInt64Type>() else { return Arc::clone(column) };
    // As long as the largest of them; faster to find.
    let bits = numbers.values().iter().fold(0, |bits, number| bits | number);
    match u64::BITS - bits.leading_zeros() {
        0..=8 => Arc::new(numbers.unary::<_, UInt8Type>(|number| number as u8)),
        9..=16 => Arc::new(numbers.unary::<_, UInt16Type>(|number| number as u16)),
        17..=32 => Arc::new(numbers.unary::<_, UInt32Type>(|number| number as u32)),
        _ => Arc::clone(column),
    }
}

/// What [`shorter`] was made of.
fn whole(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::UInt8 => Arc::new(column.as_primitive::<UInt8Type>().unary::<_, UInt64Type>(u64::from)),
        DataType::UInt16 => Arc::new(column.as_primitive::<UInt16Type>().unary::<_, UInt64Type>(u64::from)),
        DataType::UInt32 => Arc::new(column.as_primitive::<UInt32Type>().unary::<_, UInt64Type>(u64::from)),
        _ => Arc::clone(column),
    }
}

/// Leaves out the columns of which every value is null.
pub(crate) fn narrow(whole: &RecordBatch) -> Result<RecordBatch> {
    let (schema, rows) = (whole.schema(), whole.num_rows());
    let kept: Vec<_> = (0..whole.num_columns()).filter(|at| whole.column(*at).null_count() < rows).collect();
    let fields: Vec<_> = kept.iter().map(|at| Arc::clone(&schema.fields()[*at])).collect();
    let arrays = kept.iter().map(|at| Arc::clone(whole.column(*at))).collect();
    batch(Schema::new(fields), arrays, rows)
}

/// The columns of a table that any of these batches has.
pub(crate) fn present<'b>(
    table: &Table,
    batches: impl Iterator<Item = &'b RecordBatch> + Clone,
) -> SchemaRef {
    let has = |name: &str| batches.clone().any(|batch| batch.schema_ref().index_of(name).is_ok());
    let fields = table.schema().fields().iter().filter(|field| has(field.name()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// Nulls of each type, shared by the columns that are widened with them.
#[derive(Default)]
pub(crate) struct Nulls(HashMap<DataType, ArrayRef>);

impl Nulls {
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

/// The columns of this schema; those that the batch does not have are null, and numbers as long as it says.
///
/// # Errors
/// One that may not be null is missing, or of another type: it is no batch of the schema's table.
pub(crate) fn project(schema: &SchemaRef, batch: &RecordBatch, nulls: &mut Nulls) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => whole(column),
        None => nulls.of(field.data_type(), rows),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect(), &options).map_err(Error::Arrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::UInt64Array;

    #[test]
    fn numbers_are_as_wide_as_they_need_and_whole_again() {
        let tops = [0, 255, 256, 65_535, 65_536, u32::MAX.into(), 1 << 32, u64::MAX];
        let name = |at: usize| Table::flows().schema().field(at).name().clone();
        let numbers: Vec<usize> = (0..Table::flows().columns.len())
            .filter(|at| Table::flows().columns[*at].kind == Kind::Number)
            .collect();
        let columns = tops.iter().zip(&numbers).map(|(top, at)| {
            (name(*at), Arc::new(UInt64Array::from(vec![Some(*top), None, Some(0)])) as ArrayRef, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
        let short = shortened(&batch).expect("a batch");
        let widths = short.columns().iter().map(|column| column.data_type().primitive_width());
        assert_eq!(widths.collect::<Vec<_>>(), [1, 1, 2, 2, 4, 4, 8, 8].map(Some));
        assert_eq!(project(&batch.schema(), &short, &mut Nulls::default()).expect("a batch"), batch);
    }
}
