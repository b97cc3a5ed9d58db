//! Tables for a terminal: aligned, and never wider than it.

use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// How a column's cells stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column: its title, and how its cells stand.
pub type Column = (&'static str, Align);

/// Two spaces keep columns apart.
const GAP: usize = 2;
/// No column gives way below this.
const NARROWEST: usize = 4;

/// Titles.
pub const TITLE: Style = Style::new().bold();
/// What needs a person.
pub const ALARM: Style = AnsiColor::Red.on_default().bold();
/// What is as it should be.
pub const FINE: Style = AnsiColor::Green.on_default();
/// What matters less.
pub const QUIET: Style = Style::new().dimmed();

/// The table's lines, titles first, each at most `width` wide.
pub fn render(columns: &[Column], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let widths = widths(columns, rows, width);
    let titles: Vec<_> = columns.iter().map(|column| column.0.to_string()).collect();
    let mut lines = vec![format!("{TITLE}{}{TITLE:#}", line(columns, &widths, &titles))];
    lines.extend(rows.iter().map(|row| line(columns, &widths, row)));
    lines
}

/// Leaves out the `expendable` columns, one after the other, until the rest fits into `width`.
pub fn narrow(
    columns: &[Column],
    rows: &[Vec<String>],
    width: usize,
    expendable: &[&str],
) -> (Vec<Column>, Vec<Vec<String>>) {
    let (mut columns, mut rows) = (columns.to_vec(), rows.to_vec());
    for title in expendable {
        let natural = widths(&columns, &rows, usize::MAX).iter().sum::<usize>() + gaps(&columns);
        let Some(place) = columns.iter().position(|column| column.0 == *title) else { continue };
        if natural > width {
            columns.remove(place);
            rows.iter_mut().for_each(|row| drop(row.remove(place)));
        }
    }
    (columns, rows)
}

fn gaps(columns: &[Column]) -> usize {
    GAP * columns.len().saturating_sub(1)
}

/// Natural widths; where they are too much together, the widest column gives way first.
fn widths(columns: &[Column], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let mut widths: Vec<_> = columns.iter().map(|column| column.0.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    while widths.iter().sum::<usize>() + gaps(columns) > width {
        match widths.iter_mut().max_by_key(|width| **width) {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

fn line(columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let mut line = String::new();
    for (number, ((column, width), cell)) in columns.iter().zip(widths).zip(cells).enumerate() {
        if number > 0 {
            line.push_str("  ");
        }
        let cell = shorten(cell, *width);
        let _ = match column.1 {
            Align::Left => write!(line, "{cell:<width$}"),
            Align::Right => write!(line, "{cell:>width$}"),
        };
    }
    line.truncate(line.trim_end().len());
    line
}

/// Cuts out the middle: both ends of an address and its port tell more than its start.
pub fn shorten(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_string();
    }
    let Some(shown) = width.checked_sub(1) else { return String::new() };
    let tail = shown / 2;
    let head: String = cell.chars().take(shown - tail).collect();
    let tail: String = cell.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expendable_columns_go_before_any_is_cut() {
        let columns = [("NAME", Align::Left), ("AGE", Align::Right), ("N", Align::Right)];
        let rows = vec![vec!["abcdef".to_string(), "12 ms".to_string(), "7".to_string()]];
        let (kept, cells) = narrow(&columns, &rows, 10, &["AGE"]);
        assert_eq!(kept.iter().map(|column| column.0).collect::<Vec<_>>(), ["NAME", "N"]);
        assert_eq!(cells[0], ["abcdef", "7"]);
        assert_eq!(narrow(&columns, &rows, 80, &["AGE"]).0.len(), 3);
    }

    #[test]
    fn the_widest_column_gives_way() {
        let columns = [("NAME", Align::Left), ("N", Align::Right)];
        let rows = vec![vec!["abcdefghijklmnop".to_string(), "12345".to_string()]];
        let lines = render(&columns, &rows, 17);
        assert_eq!(lines[1], "abcde…mnop  12345");
        assert!(render(&columns, &rows, 80)[1].starts_with("abcdefghijklmnop  12345"));
    }
}
