//! What an answer takes.

use super::shown::Format;
use crate::output::json_line;
use crate::table::{Align, QUIET, TITLE, render, room};
use crate::text;
use serde_json::json;
use std::io::{self, Write};
use weir_sql::arrow::array::RecordBatch;
use weir_sql::arrow::datatypes::SchemaRef;
use weir_sql::{Answer, Fate, Report, SegmentReport, TableReport};

/// The answer is counted, not shown.
pub struct Unshown;

impl Answer for Unshown {
    fn begin(&mut self, _: &SchemaRef) -> io::Result<()> {
        Ok(())
    }

    fn rows(&mut self, _: &RecordBatch) -> io::Result<()> {
        Ok(())
    }
}

/// For people, or for programs.
pub fn print(report: &Report, format: Format) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    if format != Format::Table {
        return report
            .tables
            .iter()
            .flat_map(|table| table.segments.iter().map(move |one| (table, one)))
            .try_for_each(|(table, segment)| object(&mut out, table, segment));
    }
    for table in &report.tables {
        files(&mut out, table)?;
    }
    let spilled = match report.spilled_bytes as u64 {
        0 => String::new(),
        bytes => format!(", {} through temporary files", text::bytes(bytes)),
    };
    let rows = match report.rows {
        1 => "1 row".to_owned(),
        rows => format!("{} rows", text::grouped(rows as u64)),
    };
    writeln!(out, "{rows} in {}{spilled}", text::latency(report.took))?;
    write!(out, "\n{QUIET}{}{QUIET:#}", report.plan)
}

fn files(out: &mut impl Write, table: &TableReport) -> io::Result<()> {
    let read = table.segments.iter().filter(|segment| matches!(segment.fate, Fate::Read { .. })).count();
    let all = table.segments.len();
    writeln!(
        out,
        "{TITLE}{}{TITLE:#}: {read} of {all} files read; {} records of the log",
        table.name,
        text::grouped(table.recent as u64)
    )?;
    let rows: Vec<_> = table.segments.iter().map(cells).collect();
    if !rows.is_empty() {
        let room = room();
        let columns =
            [("FILE", Align::Left), ("SIZE", Align::Right), ("READ", Align::Right), ("WHAT", Align::Left)];
        for line in render(&columns, &rows, room) {
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out)
}

fn cells(segment: &SegmentReport) -> Vec<String> {
    let (bytes, what) = match segment.fate {
        Fate::Skipped => (0, "passed over by its name".to_owned()),
        Fate::NotNeeded => (0, "not needed".into()),
        Fate::RuledOut { by_bloom_filter: 0, bytes, .. } => {
            (bytes, "ruled out by its smallest and largest values".into())
        }
        Fate::RuledOut { bytes, .. } => (bytes, "ruled out by bloom filters".into()),
        Fate::Read { groups, of, bytes } if groups == of => (bytes, "read".into()),
        Fate::Read { groups, of, bytes } => (bytes, format!("{groups} of {of} row groups read")),
    };
    let read = if bytes == 0 { String::new() } else { text::bytes(bytes as u64) };
    vec![segment.name.clone(), text::bytes(segment.bytes), read, what]
}

fn object(out: &mut impl Write, table: &TableReport, segment: &SegmentReport) -> io::Result<()> {
    let (fate, read_bytes) = match segment.fate {
        Fate::Skipped => ("skipped", 0),
        Fate::NotNeeded => ("not_needed", 0),
        Fate::RuledOut { bytes, .. } => ("ruled_out", bytes),
        Fate::Read { bytes, .. } => ("read", bytes),
    };
    let file = json!({
        "table": table.name,
        "file": segment.name,
        "bytes": segment.bytes,
        "read_bytes": read_bytes,
        "fate": fate,
    });
    json_line(out, &file)
}
