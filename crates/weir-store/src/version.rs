//! What columns meant once. Segments and logs of every version can be read; what is read of them means what it does
//! today.

use crate::table::{Column, Table};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Schema};
use std::path::Path;
use std::sync::Arc;
use weir_record::Unit;

/// Says the version in a segment's metadata.
pub(crate) const KEY: &str = "weir.schema_version";
/// And this its table.
pub(crate) const TABLE: &str = "weir.table";

/// The version of what columns mean. A new column is no new version: it is null in old segments. A column that means
/// something else, or is of another type, is one; so are checksums that an older weir would take for wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaVersion(u32);

impl SchemaVersion {
    /// Lengths of time were in nanoseconds.
    pub(crate) const FIRST: Self = Self(1);
    /// Parts of files have had checksums since, and names are those of what files say of themselves. Columns mean what
    /// they did in version 2.
    pub(crate) const SUMMED: Self = Self(3);
    /// That of what is written.
    pub const TODAY: Self = Self::SUMMED;

    /// The number in a segment's metadata.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// That of a segment, by its schema; none where it says none.
    pub fn of(schema: &Schema) -> Option<Self> {
        schema.metadata().get(KEY)?.parse().ok().map(Self)
    }

    /// What numbers of this column of a table, as this version has them, are to be divided by; none if by nothing.
    pub fn divisor(self, table: &Table, column: &str) -> Option<u64> {
        let is_length = |one: &Column| one.name == column && one.unit == Unit::Microseconds;
        (self == Self::FIRST && table.columns.iter().any(is_length)).then_some(1000)
    }

    /// The version of a segment of this table that can be read.
    ///
    /// # Errors
    /// It says none, or a later one than [`TODAY`](Self::TODAY), or another table.
    pub(crate) fn known(schema: &Schema, table: &Table, path: &Path) -> Result<Self> {
        if schema.metadata().get(TABLE).is_some_and(|name| name != table.name) {
            let what = format!("it is no segment of {}", table.name);
            return Err(Error::Damaged { path: path.to_owned(), what });
        }
        match Self::of(schema) {
            Some(version) if (Self::FIRST..=Self::TODAY).contains(&version) => Ok(version),
            Some(version) if version > Self::TODAY => {
                let what = format!("version {} of the schema", version.0);
                Err(Error::Later { path: path.to_owned(), what })
            }
            _ => Err(Error::Damaged { path: path.to_owned(), what: format!("it does not say its {KEY}") }),
        }
    }

    /// A batch of a table, whole or compact, as it would be today.
    pub(crate) fn update(
        self,
        table: &Table,
        batch: RecordBatch,
    ) -> std::result::Result<RecordBatch, ArrowError> {
        if self > Self::FIRST {
            return Ok(batch);
        }
        let (schema, mut columns, rows) = batch.into_parts();
        for (field, array) in schema.fields().iter().zip(&mut columns) {
            if let Some(by) = self.divisor(table, field.name()) {
                *array = divided(array, by);
            }
        }
        RecordBatch::try_new_with_options(
            schema,
            columns,
            &RecordBatchOptions::new().with_row_count(Some(rows)),
        )
    }
}

/// Numbers as wide as before; anything else as it is.
fn divided(column: &ArrayRef, by: u64) -> ArrayRef {
    fn each<T: ArrowPrimitiveType<Native: Into<u64> + TryFrom<u64>>>(
        numbers: &PrimitiveArray<T>,
        by: u64,
    ) -> ArrayRef {
        // What is smaller than a number has room where that has.
        Arc::new(numbers.unary::<_, T>(|number| (number.into() / by).try_into().unwrap_or_default()))
    }
    match column.data_type() {
        DataType::UInt8 => each(column.as_primitive::<UInt8Type>(), by),
        DataType::UInt16 => each(column.as_primitive::<UInt16Type>(), by),
        DataType::UInt32 => each(column.as_primitive::<UInt32Type>(), by),
        DataType::UInt64 => each(column.as_primitive::<UInt64Type>(), by),
        _ => Arc::clone(column),
    }
}
