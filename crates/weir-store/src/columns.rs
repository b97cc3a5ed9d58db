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
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field as Arrow, Schema, SchemaRef};
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
        self.fill();
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
        if absent == 0 {
            return;
        }
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

/// The columns of this schema; those that the batch does not have are null.
///
/// # Errors
/// One that may not be null is missing, or of another type: it is no batch of the schema's table.
pub(crate) fn project(schema: &SchemaRef, batch: &RecordBatch, nulls: &mut Nulls) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => nulls.of(field.data_type(), rows),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect(), &options).map_err(Error::Arrow)
}
