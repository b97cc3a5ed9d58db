//! Answers, printed.

use super::rows::Rows;
use crate::output::of_csv;
use crate::table::Align;
use clap::ValueEnum;
use csv::Writer;
use std::io::{self, Stdout, Write};
use std::sync::Arc;
use weir_sql::Answer;
use weir_sql::arrow::array::{ArrayRef, RecordBatch};
use weir_sql::arrow::compute::cast;
use weir_sql::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_sql::arrow::error::ArrowError;
use weir_sql::arrow::json::WriterBuilder;
use weir_sql::arrow::json::writer::LineDelimited;
use weir_sql::arrow::util::display::{ArrayFormatter, FormatOptions};

/// For people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As wide as the terminal
    Table,
    /// One object a line
    Json,
    /// A header, then raw values
    Csv,
}

/// As in all our JSON.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";

/// An answer on standard output.
pub struct Shown(Out);

enum Out {
    Table(Rows),
    Lines(Lines<Stdout>),
}

/// An answer as programs read it.
pub enum Lines<W: Write> {
    Json(W),
    /// Whether it has a header yet.
    Csv(Box<Writer<W>>, bool),
}

impl<W: Write> Lines<W> {
    /// One object a line.
    pub fn json(out: W) -> Self {
        Self::Json(out)
    }

    /// A header, then raw values.
    pub fn csv(out: W) -> Self {
        Self::Csv(Box::new(Writer::from_writer(out)), false)
    }

    /// That was all.
    pub fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Json(out) => out.flush(),
            Self::Csv(out, _) => out.flush(),
        }
    }
}

impl<W: Write> Answer for Lines<W> {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        match self {
            Self::Csv(out, is_titled) if !*is_titled => {
                *is_titled = true;
                out.write_record(schema.fields().iter().map(|field| field.name())).map_err(of_csv)
            }
            Self::Csv(..) | Self::Json(_) => Ok(()),
        }
    }

    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
        let rows = &in_utc(rows).map_err(io::Error::other)?;
        match self {
            Self::Json(out) => json(out, rows),
            Self::Csv(out, _) => cells(rows, |cells| out.write_record(cells).map_err(of_csv)),
        }
    }
}

impl Shown {
    /// In this format.
    pub fn new(format: Format) -> Self {
        Self(match format {
            Format::Table => Out::Table(Rows::default()),
            Format::Json => Out::Lines(Lines::json(io::stdout())),
            Format::Csv => Out::Lines(Lines::csv(io::stdout())),
        })
    }

    /// That was all.
    pub fn end(self) -> io::Result<()> {
        match self.0 {
            Out::Table(mut table) => table.end(),
            Out::Lines(mut lines) => lines.end(),
        }
    }
}

impl Answer for Shown {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        match &mut self.0 {
            Out::Table(table) => {
                let is_number = |place: usize| schema.field(place).data_type().is_numeric();
                let align = |place| if is_number(place) { Align::Right } else { Align::Left };
                let names = schema.fields().iter().map(|field| field.name().clone());
                table.begin(names.enumerate().map(|(place, name)| (name, align(place))).collect());
                Ok(())
            }
            Out::Lines(lines) => lines.begin(schema),
        }
    }

    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
        match &mut self.0 {
            Out::Table(table) => cells(&in_utc(rows).map_err(io::Error::other)?, |cells| table.push(cells)),
            Out::Lines(lines) => lines.rows(rows),
        }
    }
}

/// The same rows; times are written in UTC, wherever the query has put them.
fn in_utc(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| match field.data_type() {
        DataType::Timestamp(unit, Some(zone)) if &**zone != "UTC" => {
            let utc = DataType::Timestamp(*unit, Some("UTC".into()));
            Ok((field.as_ref().clone().with_data_type(utc.clone()).into(), cast(column, &utc)?))
        }
        _ => Ok((Arc::clone(field), Arc::clone(column))),
    };
    let columns = schema.fields().iter().zip(rows.columns()).map(column);
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn json(out: &mut impl Write, rows: &RecordBatch) -> io::Result<()> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format(TIME.into())
        .build::<_, LineDelimited>(io::BufWriter::with_capacity(64 * 1024, out));
    writer.write(rows).map_err(of_arrow)?;
    writer.into_inner().flush()
}

/// A reader that has seen enough is one, whoever tells of it.
fn of_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

/// Hands on the cells of each row.
fn cells(rows: &RecordBatch, mut take: impl FnMut(Vec<String>) -> io::Result<()>) -> io::Result<()> {
    let options = FormatOptions::new().with_null("").with_timestamp_tz_format(Some(TIME));
    let columns = rows.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>().map_err(io::Error::other)?;
    (0..rows.num_rows())
        .try_for_each(|row| take(columns.iter().map(|column| column.value(row).to_string()).collect()))
}
