//! Flow records as a Parquet file in memory, for stores that take whole objects.

use crate::Result;
use crate::flow_rows::{chosen, flow_rows};
use crate::segment::key_values;
use crate::table::Table;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;
use weir_record::{Field, FlowRecord};

/// Rows that are columns at once.
const PART: usize = 16 << 10;

/// Makes such files, all of the same columns: those of the table of flows, or some of them.
#[derive(Debug)]
pub struct FlowFile(SchemaRef);

impl FlowFile {
    /// Of these fields, as far as they are columns, or all.
    pub fn new(fields: &[&'static Field]) -> Self {
        let about = Table::flows().schema().metadata().clone();
        Self(Arc::new(Schema::new_with_metadata(chosen(fields), about)))
    }

    /// A file of these records, in their order.
    ///
    /// # Errors
    /// There is more text in them than Arrow can hold, 2 GiB.
    pub fn write(&self, records: &[&FlowRecord]) -> Result<Vec<u8>> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).into())
            .set_key_value_metadata(Some(key_values(&self.0)))
            .build();
        let mut file = ArrowWriter::try_new(Vec::new(), Arc::clone(&self.0), Some(properties))?;
        for part in records.chunks(PART) {
            file.write(&flow_rows(&self.0, part)?)?;
        }
        Ok(file.into_inner()?)
    }
}
