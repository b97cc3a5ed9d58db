//! One JSON object a line.

use super::{Column, Row, Shows};
use crate::output::{self, InOrder};
use std::io::{self, BufWriter, Write};
use weir_record::Value;

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

impl<W: Write> Shows for Lines<'_, W> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        for Row { record, .. } in rows {
            if self.fields.is_empty() {
                output::json_line(&mut self.out, record)?;
                continue;
            }
            let kind = [("type", Value::Text("flow".into()))].into_iter();
            let object =
                kind.chain(self.fields.iter().map(|column| (column.name(), column.of(record)))).collect();
            output::json_line(&mut self.out, &InOrder(object))?;
        }
        self.out.flush()
    }
}
