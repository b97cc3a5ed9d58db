//! A Parquet file, of the same columns as the history.

use super::{Column, Row, Shows};
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use anyhow::{Result, bail};
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use std::io::{self, Write};
use std::sync::Arc;
use weir_record::FlowRecord;
use weir_store::{Table, flow_rows, key_values};

/// Rows in a row group: what is held in memory.
const GROUP: usize = 131_072;

/// Whether it can hold these fields, or the mistake in them.
pub fn fit(fields: &[Column]) -> Result<(), String> {
    let ends = |column: &&Column| matches!(column, Column::Ends { .. });
    fields.iter().find(ends).map_or(Ok(()), |column| {
        Err(format!("--fields: in Parquet each end has a column of its own: source_{}", column.name()))
    })
}

/// Written as it goes, a row group at a time.
pub struct File<W: Write + Send> {
    schema: SchemaRef,
    /// None once it has ended.
    out: Option<ArrowWriter<W>>,
}

impl<W: Write + Send> File<W> {
    /// Of these fields, or of all.
    ///
    /// # Errors
    /// It cannot be written to, or a field is not kept.
    pub fn new(fields: &[Column], out: W) -> Result<Self> {
        let schema = schema(fields)?;
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_key_value_metadata(Some(key_values(&schema)))
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let out = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties))?;
        Ok(Self { schema, out: Some(out) })
    }

    fn batch(&mut self, rows: &[Row]) -> Result<RecordBatch> {
        let records: Vec<&FlowRecord> = rows.iter().map(|row| &row.record).collect();
        Ok(flow_rows(&self.schema, &records)?)
    }
}

fn schema(fields: &[Column]) -> Result<SchemaRef> {
    let whole = Table::flows().schema();
    if fields.is_empty() {
        return Ok(Arc::clone(whole));
    }
    let chosen = fields.iter().map(|column| match whole.column_with_name(column.name()) {
        Some((_, field)) => Ok(field.clone()),
        None => bail!("--fields: {} is not kept, and in no Parquet file", column.name()),
    });
    Ok(Arc::new(Schema::new_with_metadata(chosen.collect::<Result<Vec<_>>>()?, whole.metadata().clone())))
}

/// A reader that has seen enough is one, whoever tells of it.
fn of_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

impl<W: Write + Send> Shows for File<W> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        let batch = self.batch(rows).map_err(io::Error::other)?;
        match &mut self.out {
            Some(out) => out.write(&batch).map_err(of_io),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self.out.take() {
            Some(out) => out.into_inner().map_err(of_io)?.flush(),
            None => Ok(()),
        }
    }
}
