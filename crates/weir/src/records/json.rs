//! One JSON object a line.

use super::{Column, Row, Shows};
use crate::output::InOrder;
use std::io::{self, BufWriter, Write};
use weir_record::{FlowRecord, Value};

/// The record as everywhere, or what was chosen of it.
pub struct Lines<'f, W: Write> {
    /// All where there are none.
    fields: &'f [Column],
    out: BufWriter<W>,
}

impl<'f, W: Write> Lines<'f, W> {
    pub fn new(fields: &'f [Column], out: W) -> Self {
        Self { fields, out: BufWriter::with_capacity(64 * 1024, out) }
    }
}

/// One object, without the end of its line; all of a record where no fields are chosen.
pub fn write(out: &mut impl Write, fields: &[Column], record: &FlowRecord) -> io::Result<()> {
    if fields.is_empty() {
        return Ok(serde_json::to_writer(out, record)?);
    }
    let kind = [("type", Value::Text("flow".into()))].into_iter();
    let object = kind.chain(fields.iter().map(|column| (column.name(), column.of(record)))).collect();
    Ok(serde_json::to_writer(out, &InOrder(object))?)
}

impl<W: Write> Shows for Lines<'_, W> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        for Row { record, .. } in rows {
            write(&mut self.out, self.fields, record)?;
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }
}
