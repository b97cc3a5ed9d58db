//! Sums, printed.

use super::Format;
use super::table::{terminal, title};
use crate::flows::sums::{Cell, Groups, Sum};
use crate::history::day_and_time;
use crate::output::{self, InOrder, of_csv};
use crate::records::{Column, raw};
use crate::table::{self, Align};
use crate::text;
use clap::ValueEnum;
use csv::Writer;
use jiff::Zoned;
use std::cmp::Reverse;
use std::io::{self, BufWriter, Write};
use weir_record::{Unit, Value};

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Most bytes, both ways
    Bytes,
    /// Most packets, both ways
    Packets,
    /// Most conversations
    Conversations,
    /// What began last: what is new
    First,
    /// What was seen last
    Last,
}

/// A group, or what is left of them.
struct Line {
    /// None: the others.
    cells: Option<Vec<Cell>>,
    sum: Sum,
}

/// Titles of what is added up.
const TITLES: [&str; 8] = ["CONVS", "RECORDS", "PACKETS", "PKTS BACK", "BYTES", "BACK", "FIRST", "LAST"];

/// What a terminal can do without, the first first.
const EXPENDABLE: [&str; 6] = ["RECORDS", "PKTS BACK", "PACKETS", "LAST", "FIRST", "CONVS"];

/// Prints them, at most `top`, and what the others add up to.
pub fn print(groups: (&[Column], Groups), order: (Sort, Option<usize>), format: Format) -> io::Result<()> {
    match format {
        Format::Table => print_table(groups, order, terminal()),
        Format::Wide => print_table(groups, order, None),
        Format::Csv => write_csv(groups, order, io::stdout()),
        Format::Json | Format::Parquet => write_json(groups, order, BufWriter::new(io::stdout())),
    }
}

/// In order, and how many groups the last line stands for.
fn sorted(mut groups: Groups, (sort, top): (Sort, Option<usize>)) -> (Vec<Line>, usize) {
    let rank = |sum: &Sum| match sort {
        Sort::Bytes => sum.all_bytes(),
        Sort::Packets => sum.packets.saturating_add(sum.reverse_packets),
        Sort::Conversations => sum.conversations,
        Sort::First => sum.first,
        Sort::Last => sum.last,
    };
    // Of equals the order is the same each time.
    groups.sort_unstable_by(|(one, sum), (other, more)| {
        (Reverse(rank(sum)), one).cmp(&(Reverse(rank(more)), other))
    });
    let rest = groups.split_off(top.unwrap_or(usize::MAX).min(groups.len()));
    let mut lines: Vec<_> = groups.into_iter().map(|(cells, sum)| Line { cells: Some(cells), sum }).collect();
    if !rest.is_empty() {
        let mut others = Sum::default();
        rest.iter().for_each(|(_, sum)| others.add(sum));
        lines.push(Line { cells: None, sum: others });
    }
    (lines, rest.len())
}

fn print_table(
    (columns, groups): (&[Column], Groups),
    order: (Sort, Option<usize>),
    width: Option<usize>,
) -> io::Result<()> {
    let (lines, others) = sorted(groups, order);
    if lines.is_empty() {
        return Ok(());
    }
    let (now, width) = (Zoned::now(), width.unwrap_or(usize::MAX));
    let own: Vec<_> = columns.iter().map(title).collect();
    let numbers = TITLES
        .iter()
        .map(|title| (*title, if matches!(*title, "FIRST" | "LAST") { Align::Left } else { Align::Right }));
    let titles: Vec<_> = own.iter().map(|(title, align)| (title.as_str(), *align)).chain(numbers).collect();
    let rows: Vec<_> = lines.iter().map(|line| cells(columns, line, others, &now)).collect();
    let (titles, rows) = table::narrow(&titles, &rows, width, &EXPENDABLE);
    let mut out = anstream::AutoStream::auto(io::stdout()).lock();
    for line in table::render(&titles, &rows, width) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn cells(columns: &[Column], Line { cells, sum }: &Line, others: usize, now: &Zoned) -> Vec<String> {
    let clock = |nanos| day_and_time(nanos, now);
    let own: Vec<_> = match cells {
        Some(cells) => cells
            .iter()
            .zip(columns)
            .map(|(cell, column)| {
                // A number that is grouped by is a name: 80, not 80 packets.
                let unit = if column.unit() == Unit::Packets { Unit::None } else { column.unit() };
                text::value(&cell.value(), unit, clock).unwrap_or("-".into())
            })
            .collect(),
        None => {
            let first = format!("({} others)", text::grouped(others as u64));
            std::iter::once(first).chain(columns.iter().skip(1).map(|_| String::new())).collect()
        }
    };
    let counts = [
        text::count(sum.conversations),
        text::count(sum.records),
        text::count(sum.packets),
        text::count(sum.reverse_packets),
        text::bytes(sum.bytes),
        text::bytes(sum.reverse_bytes),
        clock(sum.first),
        clock(sum.last),
    ];
    own.into_iter().chain(counts).collect()
}

/// What a line is, in JSON and CSV.
fn kind(line: &Line) -> &'static str {
    if line.cells.is_some() { "sum" } else { "others" }
}

/// Writes them as programs read them: a line of JSON each.
pub fn write_json(
    (columns, groups): (&[Column], Groups),
    order: (Sort, Option<usize>),
    mut out: impl Write,
) -> io::Result<()> {
    let (lines, others) = sorted(groups, order);
    for line in &lines {
        let mut object = vec![("type", Value::Text(kind(line).into()))];
        object.extend(columns.iter().enumerate().map(|(place, column)| {
            let cell = line.cells.as_ref().and_then(|cells| cells.get(place));
            (column.name(), cell.map_or(Value::Absent, Cell::value))
        }));
        let groups = if line.cells.is_some() { 1 } else { others as u64 };
        object.push(("groups", Value::Number(groups)));
        object.extend(sums(&line.sum));
        output::json_line(&mut out, &InOrder(object))?;
    }
    out.flush()
}

/// Writes them as programs read them: a header, then raw values.
pub fn write_csv(
    (columns, groups): (&[Column], Groups),
    order: (Sort, Option<usize>),
    out: impl Write,
) -> io::Result<()> {
    let (lines, _) = sorted(groups, order);
    let mut out = Writer::from_writer(out);
    let names = sums(&Sum::default()).map(|(name, _)| name);
    out.write_record(["type"].into_iter().chain(columns.iter().map(Column::name)).chain(names))
        .map_err(of_csv)?;
    for line in &lines {
        let own = columns.iter().enumerate().map(|(place, _)| {
            let cell = line.cells.as_ref().and_then(|cells| cells.get(place));
            cell.map_or_else(String::new, |cell| raw(&cell.value()))
        });
        let sums = sums(&line.sum).map(|(_, value)| raw(&value));
        out.write_record([kind(line).to_owned()].into_iter().chain(own).chain(sums)).map_err(of_csv)?;
    }
    out.flush()
}

/// By name, as programs read them.
fn sums(sum: &Sum) -> [(&'static str, Value<'static>); 8] {
    [
        ("conversations", Value::Number(sum.conversations)),
        ("records", Value::Number(sum.records)),
        ("packets", Value::Number(sum.packets)),
        ("bytes", Value::Number(sum.bytes)),
        ("reverse_packets", Value::Number(sum.reverse_packets)),
        ("reverse_bytes", Value::Number(sum.reverse_bytes)),
        ("first", Value::Time(sum.first)),
        ("last", Value::Time(sum.last)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: u64, first: u64) -> Sum {
        Sum { conversations: 1, records: 1, packets: 1, bytes, first, last: first + 1, ..Sum::default() }
    }

    #[test]
    fn what_is_left_out_is_in_the_last_line() {
        let name = |name: &str| vec![Cell::Text(name.into())];
        let groups = || {
            vec![
                (name("a"), sum(5, 1)),
                (name("b"), sum(7, 2)),
                (name("c"), sum(7, 3)),
                (name("d"), sum(1, 4)),
            ]
        };
        let order = |sort, top| {
            let (lines, others) = sorted(groups(), (sort, top));
            assert_eq!(lines.iter().map(|line| line.sum.bytes).sum::<u64>(), 20);
            let names = lines.iter().map(|line| match line.cells.as_deref() {
                Some([Cell::Text(name)]) => name.clone(),
                _ => format!("{others}"),
            });
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(Sort::Bytes, None), "b c a d");
        assert_eq!(
            (order(Sort::Bytes, Some(1)), order(Sort::Bytes, Some(4))),
            ("b 3".into(), "b c a d".into())
        );
        assert_eq!((order(Sort::First, Some(2)), order(Sort::Bytes, Some(0))), ("d c 2".into(), "4".into()));
    }
}
