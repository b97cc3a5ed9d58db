//! One JSON object a line.

use super::Shows;
use crate::flows::columns::Column;
use crate::flows::newest::Row;
use crate::output::{self, InOrder};
use std::io::{self, BufWriter, Stdout, Write};
use weir_record::Value;

/// The record as everywhere, or what was chosen of it.
pub struct Lines<'f> {
    /// All where there are none.
    fields: &'f [Column],
    out: BufWriter<Stdout>,
}

impl<'f> Lines<'f> {
    pub fn new(fields: &'f [Column]) -> Self {
        Self { fields, out: BufWriter::with_capacity(64 * 1024, io::stdout()) }
    }
}

impl Shows for Lines<'_> {
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
