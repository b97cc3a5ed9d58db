//! An IPFIX file (RFC 5655).

use super::{Column, Row, Shows};
use crate::run::say;
use std::io::{self, Write};
use weir_ipfix::{Encoder, Writer};
use weir_record::Field;

/// Whether it can hold these fields, or the mistake in them.
pub fn fit(fields: &[Column]) -> Result<(), String> {
    match fields.iter().find(|column| element(column).is_none()) {
        None => Ok(()),
        Some(Column::Ends { name, .. }) => {
            Err(format!("--fields: in IPFIX each end has an element of its own: source_{name}"))
        }
        Some(column) => Err(format!("--fields: {} has no element in IPFIX", column.name())),
    }
}

/// The field, if there is an element for it.
fn element(column: &Column) -> Option<&'static Field> {
    match *column {
        Column::Field(field) => Some(field).filter(|field| Encoder::is_written(field)),
        Column::Ends { .. } => None,
    }
}

/// Written as it goes, a message at a time.
pub struct File<W: Write> {
    /// None once it has ended.
    out: Option<Writer<W>>,
}

impl<W: Write> File<W> {
    /// Of these fields, or of all.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn new(fields: &[Column], out: W) -> io::Result<Self> {
        let fields: Vec<_> = fields.iter().filter_map(element).collect();
        let now = weir_agent::unix_now() / 1_000_000_000;
        let out = Writer::new(out, &fields, u32::try_from(now).unwrap_or(u32::MAX))?;
        Ok(Self { out: Some(out) })
    }
}

impl<W: Write> Shows for File<W> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        match &mut self.out {
            Some(out) => rows.iter().try_for_each(|row| out.write(&row.record)),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let left_out = out.left_out();
        if left_out > 0 {
            say(&format!(
                "{left_out} flows are left out: each is larger than a message of IPFIX may be, 64 KiB"
            ));
        }
        out.end().map(drop)
    }
}
