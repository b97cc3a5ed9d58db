//! Columns under construction: values in, a record batch out.
//!
//! Value by value, of any table; flow records have a faster way, [`flow_batch`](crate::flow_batch).

use crate::Result;
use crate::compact::{Compact, hex, set_builder, shorter};
use crate::table::{Table, observation_fields};
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, ListBuilder, StringBuilder, StructBuilder, TimestampNanosecondBuilder,
    UInt8Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field as Arrow};
use std::fmt::Write;
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
            Kind::Bits => Builder::Bits(set_builder()),
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
            (Builder::Text(texts), Value::Id(id)) => texts.append_value(hex(id.0, &mut [0; 16])),
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
    pub fn finish(&mut self) -> Option<ArrayRef> {
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

/// Adds a text that is written into the column.
pub(crate) fn written(texts: &mut StringBuilder, text: std::fmt::Arguments<'_>) {
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
        let mut compact = Compact::default();
        for (field, growing) in self.table.schema().fields().iter().zip(&mut self.growing) {
            if let Some(array) = growing.finish() {
                compact.add(field, shorter(array));
            }
        }
        compact.finish(rows)
    }
}
