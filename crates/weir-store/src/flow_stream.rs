//! Flow records as a stream of Arrow (IPC), for programs that read columns.

use crate::Result;
use crate::flow_rows::{chosen, flow_rows};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field as Arrow, Schema, SchemaRef};
use std::sync::Arc;
use weir_record::{Field, FlowRecord};

/// Who has seen them.
const HOST: &str = "host";

/// Makes such streams, all of the same columns: those of the table of flows, or some of them, behind the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowStream {
    host: String,
    rows: SchemaRef,
    all: SchemaRef,
}

impl FlowStream {
    /// Of these fields, as far as they are columns, or all, seen by this host.
    pub fn new(host: String, fields: &[&'static Field]) -> Self {
        let rows = chosen(fields);
        let first = Arc::new(Arrow::new(HOST, DataType::Utf8, false));
        let all: Vec<_> = std::iter::once(first).chain(rows.iter().cloned()).collect();
        Self { host, rows: Arc::new(Schema::new(rows)), all: Arc::new(Schema::new(all)) }
    }

    /// Its columns, with the host's.
    pub fn schema(&self) -> &SchemaRef {
        &self.all
    }

    /// A stream of these records, in their order.
    ///
    /// # Errors
    /// There is more text in them than Arrow can hold, 2 GiB.
    pub fn write(&self, records: &[FlowRecord]) -> Result<Vec<u8>> {
        let records: Vec<_> = records.iter().collect();
        let rows = flow_rows(&self.rows, &records)?;
        let host: ArrayRef = Arc::new(StringArray::from(vec![self.host.as_str(); records.len()]));
        let columns = std::iter::once(host).chain(rows.columns().iter().cloned());
        let batch = RecordBatch::try_new(Arc::clone(&self.all), columns.collect())?;
        let mut stream = StreamWriter::try_new(Vec::new(), &self.all)?;
        stream.write(&batch)?;
        Ok(stream.into_inner()?)
    }
}
