//! How flows are shown.

mod sums;
mod table;

pub use sums::{Sort, print, write_csv, write_json};

use super::asked::Asked;
use crate::records::{Shows, csv, json, parquet};
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::io::{self, IsTerminal};

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

/// On standard output.
///
/// # Errors
/// It is not for a terminal.
pub fn new(format: Format, asked: &Asked) -> Result<Box<dyn Shows + '_>> {
    Ok(match format {
        Format::Table if asked.fields.is_empty() => Box::new(table::Rows::usual()),
        Format::Table => Box::new(table::Rows::of(&asked.fields)),
        Format::Wide => Box::new(table::Rows::wide(&asked.fields)),
        Format::Json => Box::new(json::Lines::new(&asked.fields, io::stdout())),
        Format::Csv => Box::new(csv::Lines::new(&asked.fields, io::stdout())),
        Format::Parquet if io::stdout().is_terminal() => {
            bail!("Parquet is not for a terminal: write it to a file, weir flows … -o parquet > FILE")
        }
        Format::Parquet => Box::new(parquet::File::new(&asked.fields, io::stdout())?),
    })
}
