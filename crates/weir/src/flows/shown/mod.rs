//! How flows are shown.

mod csv;
mod json;
mod parquet;
mod sums;
mod table;

pub use sums::{Sort, print};

use super::asked::Asked;
use super::newest::Row;
use anyhow::Result;
use clap::ValueEnum;
use std::io;

/// For people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What matters most, as wide as the terminal
    Table,
    /// More of each, uncut
    Wide,
    /// One object a line, as everywhere
    Json,
    /// A header, then raw values
    Csv,
    /// As it is kept, into a file or a pipe
    Parquet,
}

/// Where records are shown.
pub trait Shows {
    /// Some more.
    fn show(&mut self, rows: &[Row]) -> io::Result<()>;

    /// That was all.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// On standard output.
///
/// # Errors
/// It is not for a terminal.
pub fn new(format: Format, asked: &Asked) -> Result<Box<dyn Shows + '_>> {
    Ok(match format {
        Format::Table if asked.fields.is_empty() => Box::new(table::Rows::usual()),
        Format::Table => Box::new(table::Rows::of(&asked.fields)),
        Format::Wide => Box::new(table::Rows::wide(&asked.fields)),
        Format::Json => Box::new(json::Lines::new(&asked.fields)),
        Format::Csv => Box::new(csv::Lines::new(&asked.fields)),
        Format::Parquet => Box::new(parquet::File::new(&asked.fields)?),
    })
}
