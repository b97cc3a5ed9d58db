//! Comma-separated values: a header, then raw values.

use super::Shows;
use crate::flows::columns::{Column, raw};
use crate::flows::newest::Row;
use ::csv::Writer;
use std::borrow::Cow;
use std::io::{self, Stdout};
use weir_record::{FIELDS, Kind};

/// The fields that were chosen, or all that are no lists of objects.
pub struct Lines<'f> {
    fields: Cow<'f, [Column]>,
    out: Writer<Stdout>,
    is_titled: bool,
}

impl<'f> Lines<'f> {
    pub fn new(fields: &'f [Column]) -> Self {
        let all =
            || FIELDS.iter().filter(|field| field.kind != Kind::Observations).map(Column::Field).collect();
        let fields = if fields.is_empty() { Cow::Owned(all()) } else { Cow::Borrowed(fields) };
        Self { fields, out: Writer::from_writer(io::stdout()), is_titled: false }
    }

    fn title(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_titled, true) {
            self.out.write_record(self.fields.iter().map(Column::name)).map_err(of_io)?;
        }
        Ok(())
    }
}

/// A reader that has seen enough is one, whoever tells of it.
pub fn of_io(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("cannot write CSV: {other:?}")),
    }
}

impl Shows for Lines<'_> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        self.title()?;
        for Row { record, .. } in rows {
            let cells = self.fields.iter().map(|column| raw(&column.of(record)));
            self.out.write_record(cells).map_err(of_io)?;
        }
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.title()?;
        self.out.flush()
    }
}
