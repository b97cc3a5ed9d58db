//! As what records are written.

use super::{Column, Shows, csv, ipfix, json, parquet};
use anyhow::Result;
use clap::ValueEnum;
use std::io::Write;
use std::path::Path;

/// What programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The columns of the history
    Parquet,
    /// A header, then raw values
    Csv,
    /// One object a line, as everywhere
    Json,
    /// A file of RFC 5655, for what reads flows of routers
    Ipfix,
}

/// How names of files end.
const SUFFIXES: [(&str, Format); 5] = [
    ("parquet", Format::Parquet),
    ("csv", Format::Csv),
    ("json", Format::Json),
    ("jsonl", Format::Json),
    ("ipfix", Format::Ipfix),
];

impl Format {
    /// The one that was named, else that of the file's name.
    pub fn of(named: Option<Self>, file: Option<&Path>) -> Result<Self, String> {
        let suffix = file.and_then(Path::extension).map(|suffix| suffix.to_string_lossy().to_lowercase());
        let by_name = || suffix.and_then(|suffix| SUFFIXES.iter().find(|(known, _)| *known == suffix));
        named.or_else(|| by_name().map(|(_, format)| *format)).ok_or_else(|| {
            let of = match file {
                Some(file) if file != Path::new("-") => format!("the name of {} does not say which format", file.display()),
                _ => "which format".into(),
            };
            format!("{of}: -o parquet, csv, json or ipfix, or a FILE that ends in .parquet, .csv, .json, .jsonl or .ipfix")
        })
    }

    /// Whether it has a place for these fields, or the mistake in them.
    pub fn fit(self, fields: &[Column]) -> Result<(), String> {
        match self {
            Self::Parquet => parquet::fit(fields),
            Self::Csv => csv::fit(fields),
            Self::Json => Ok(()),
            Self::Ipfix => ipfix::fit(fields),
        }
    }

    /// Whether people cannot read it.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Ipfix)
    }

    /// Where records are shown so.
    pub fn shows<'f>(self, fields: &'f [Column], out: impl Write + Send + 'f) -> Result<Box<dyn Shows + 'f>> {
        Ok(match self {
            Self::Parquet => Box::new(parquet::File::new(fields, out)?),
            Self::Csv => Box::new(csv::Lines::new(fields, out)),
            Self::Json => Box::new(json::Lines::new(fields, out)),
            Self::Ipfix => Box::new(ipfix::File::new(fields, out)?),
        })
    }
}
