//! Flows as lines for people.

use crate::columns::columns;
use crate::history::day_and_time;
use crate::records::{Column, Row, Shows};
use crate::table::{self, Align};
use crate::text;
use jiff::Zoned;
use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;
use weir_record::{FlowRecord, Kind, Unit};

/// Lines that columns are as wide as, beyond those that are shown: the last ones before.
const CONTEXT: usize = 100;

/// What a terminal can do without, the first first.
const EXPENDABLE: [&str; 9] =
    ["AGE", "PKTS BACK", "PACKETS", "BIT/S", "IFACE", "STATE", "PROCESS", "BACK", "ENDED"];

/// Fields that `-o wide` shows.
const WIDE: [&str; 26] = [
    "start",
    "end",
    "interface",
    "direction",
    "protocol",
    "source_address",
    "source_port",
    "source_name",
    "source_process",
    "source_pid",
    "source_container_name",
    "source_pod",
    "destination_address",
    "destination_port",
    "destination_name",
    "destination_process",
    "destination_pid",
    "destination_container_name",
    "destination_pod",
    "tcp_state",
    "packets",
    "bytes",
    "reverse_packets",
    "reverse_bytes",
    "tcp_rtt",
    "dropped_packets",
];

/// What is in a line.
enum Cells<'f> {
    /// As in `weir run`, and when it ended.
    Usual,
    /// A field each.
    Fields(Cow<'f, [Column]>),
}

/// A table in pieces: titles, and lines as they come.
pub struct Rows<'f> {
    cells: Cells<'f>,
    titles: Vec<(String, Align)>,
    /// None: nothing is cut.
    width: Option<usize>,
    /// The last lines.
    context: Vec<Vec<String>>,
    is_titled: bool,
    now: Zoned,
}

impl<'f> Rows<'f> {
    /// As in `weir run`, and when they ended.
    pub fn usual() -> Self {
        let titles = [("ENDED", Align::Left)].into_iter().chain(columns(true).titles.iter().copied());
        Self::new(Cells::Usual, titles.map(|(title, align)| (title.to_owned(), align)).collect(), terminal())
    }

    /// These fields.
    pub fn of(fields: &'f [Column]) -> Self {
        Self::fields(Cow::Borrowed(fields), terminal())
    }

    /// These fields, or many, however wide they are.
    pub fn wide(fields: &'f [Column]) -> Self {
        let many = || WIDE.iter().filter_map(|name| Column::named(name).ok()).collect();
        Self::fields(if fields.is_empty() { Cow::Owned(many()) } else { Cow::Borrowed(fields) }, None)
    }

    fn fields(fields: Cow<'f, [Column]>, width: Option<usize>) -> Self {
        let titles = fields.iter().map(title).collect();
        Self::new(Cells::Fields(fields), titles, width)
    }

    fn new(cells: Cells<'f>, titles: Vec<(String, Align)>, width: Option<usize>) -> Self {
        Self { cells, titles, width, context: Vec::new(), is_titled: false, now: Zoned::now() }
    }

    fn line(&self, row: &Row) -> Vec<String> {
        match &self.cells {
            Cells::Usual => usual(row, &self.now),
            Cells::Fields(fields) => {
                fields.iter().map(|column| cell(column, &row.record, &self.now)).collect()
            }
        }
    }
}

/// A column's title, and how its cells stand.
pub fn title(column: &Column) -> (String, Align) {
    let is_number = column.kind() == Kind::Number && !column.name().ends_with("port");
    let align = if is_number { Align::Right } else { Align::Left };
    (column.name().replace('_', " ").to_uppercase(), align)
}

/// How wide the terminal is, if it is one.
pub fn terminal() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}

fn usual(row: &Row, now: &Zoned) -> Vec<String> {
    let record = &row.record;
    let ended = if row.is_open { "open".into() } else { day_and_time(record.end, now) };
    let time = Duration::from_nanos(record.end.saturating_sub(record.start));
    let bytes = record.bytes + record.reverse.map_or(0, |reverse| reverse.count.bytes);
    [ended].into_iter().chain((columns(true).cells)(record, (bytes, time))).collect()
}

fn cell(column: &Column, record: &FlowRecord, now: &Zoned) -> String {
    let clock = |nanos| day_and_time(nanos, now);
    match column.unit() {
        Unit::Packets => text::value(&column.of(record), Unit::None, clock),
        unit => text::value(&column.of(record), unit, clock),
    }
    .unwrap_or("-".into())
}

impl Shows for Rows<'_> {
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let known = self.context.len();
        let mut lines = std::mem::take(&mut self.context);
        lines.extend(rows.iter().map(|row| self.line(row)));
        let columns: Vec<_> = self.titles.iter().map(|(title, align)| (title.as_str(), *align)).collect();
        let width = self.width.unwrap_or(usize::MAX);
        let printed = match &self.cells {
            Cells::Usual => {
                let (columns, lines) = table::narrow(&columns, &lines, width, &EXPENDABLE);
                table::render(&columns, &lines, width)
            }
            Cells::Fields(_) => table::render(&columns, &lines, width),
        };
        let mut out = anstream::AutoStream::auto(io::stdout()).lock();
        let mut printed = printed.into_iter();
        if let Some(titles) = printed.next().filter(|_| !self.is_titled) {
            writeln!(out, "{titles}")?;
        }
        self.is_titled = true;
        for line in printed.skip(known) {
            writeln!(out, "{line}")?;
        }
        self.context = lines.split_off(lines.len().saturating_sub(CONTEXT));
        out.flush()
    }
}
