//! Comma-separated values: a header, then raw values.

use super::{Column, Row, Shows, raw};
use crate::output::of_csv;
use ::csv::Writer;
use std::borrow::Cow;
use std::io::{self, Write};
use weir_record::{FIELDS, Kind};

/// Whether it can show these fields, or the mistake in them.
pub fn fit(fields: &[Column]) -> Result<(), String> {
    let lists = |column: &&Column| column.kind() == Kind::Observations;
    fields.iter().find(lists).map_or(Ok(()), |column| {
        Err(format!("--fields: {} is a list of objects: it is in json and parquet only", column.name()))
    })
}

/// The fields that were chosen, or all that are no lists of objects.
pub struct Lines<'f, W: Write> {
    fields: Cow<'f, [Column]>,
    out: Writer<W>,
    is_titled: bool,
}

impl<'f, W: Write> Lines<'f, W> {
    pub fn new(fields: &'f [Column], out: W) -> Self {
        let all =
            || FIELDS.iter().filter(|field| field.kind != Kind::Observations).map(Column::Field).collect();
        let fields = if fields.is_empty() { Cow::Owned(all()) } else { Cow::Borrowed(fields) };
        Self { fields, out: Writer::from_writer(out), is_titled: false }
    }

    fn title(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_titled, true) {
            self.out.write_record(self.fields.iter().map(Column::name)).map_err(of_csv)?;
        }
        Ok(())
    }
}

impl<W: Write> Shows for Lines<'_, W> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        self.title()?;
        for Row { record, .. } in rows {
            let cells = self.fields.iter().map(|column| raw(&column.of(record)));
            self.out.write_record(cells).map_err(of_csv)?;
        }
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.title()?;
        self.out.flush()
    }
}
