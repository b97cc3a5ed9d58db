//! Records of any table to columns, and flow records back.

use crate::Result;
use crate::columns::Columns;
use crate::observations;
use crate::table::{Table, kept_columns, kept_fields};
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use weir_record::{Event, FlowRecord, Kind, Value};

/// Turns records of any table into batches, value by value. What it needs for that is kept from one batch to the next.
pub struct Rows {
    columns: Columns,
    count: usize,
}

impl Rows {
    /// Of this table.
    pub fn new(table: &'static Table) -> Self {
        Self { columns: Columns::new(table), count: 0 }
    }

    /// Adds a record by its values, in the order of columns; what is not there of them is null.
    pub fn push<'v>(&mut self, values: impl IntoIterator<Item = Value<'v>>) {
        let values = values.into_iter().chain(std::iter::repeat_with(|| Value::Absent));
        self.columns.growing.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        self.count += 1;
    }

    /// Adds an event to the table of its kind.
    pub fn push_event(&mut self, event: &Event) {
        self.push(kept_columns(event.happening.kind()).map(|column| column.read(event)));
    }

    /// How many were added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// A batch of what was added; columns in which there is nothing are left out. Begins anew.
    ///
    /// # Errors
    /// There is more text in a column than Arrow can hold, 2 GiB.
    pub fn batch(&mut self) -> Result<RecordBatch> {
        self.columns.finish(std::mem::take(&mut self.count))
    }
}

/// The flow records in a batch, or a part of each where it has only some of the columns; none where the
/// values do not make a record.
pub fn flow_records(batch: &RecordBatch) -> impl Iterator<Item = Option<FlowRecord>> {
    let columns: Vec<_> = kept_fields()
        .filter(|field| field.kind != Kind::Observations)
        .filter_map(|field| Some((field, batch.column_by_name(field.name)?)))
        .collect();
    (0..batch.num_rows()).map(move |row| {
        let values = columns.iter().map(|(field, column)| (*field, value(column, field.kind, row)));
        let mut record = FlowRecord::from_values(values)?;
        record.observations = observations::read(batch, row, &record);
        Some(record)
    })
}

/// What a column of this kind holds in a row. Observations are read with the whole record.
pub fn value(column: &ArrayRef, kind: Kind, row: usize) -> Value<'_> {
    if column.is_null(row) {
        return Value::Absent;
    }
    let read = match kind {
        Kind::Time => column
            .as_primitive_opt::<TimestampNanosecondType>()
            .map(|times| Value::Time(times.value(row) as u64)),
        Kind::Number => {
            column.as_primitive_opt::<UInt64Type>().map(|numbers| Value::Number(numbers.value(row)))
        }
        Kind::Text => column.as_string_opt::<i32>().map(|texts| Value::Text(texts.value(row).into())),
        Kind::Address => {
            column.as_string_opt::<i32>().and_then(|texts| texts.value(row).parse().ok()).map(Value::Address)
        }
        Kind::Flag => column.as_boolean_opt().map(|flags| Value::Flag(flags.value(row))),
        Kind::Bits => column.as_list_opt::<i32>().and_then(|lists| bits(&lists.value(row))),
        Kind::Observations => None,
    };
    read.unwrap_or(Value::Absent)
}

fn bits(numbers: &ArrayRef) -> Option<Value<'static>> {
    let numbers = numbers.as_primitive_opt::<UInt8Type>()?.values();
    let bits = numbers.iter().filter(|number| **number < 64).fold(0, |bits, number| bits | 1_u64 << number);
    Some(Value::Bits(bits))
}
