//! Tables for a terminal: aligned, and never wider than it.

use anstyle::{AnsiColor, Style};
use terminal_size::terminal_size;
use unicode_truncate::UnicodeTruncateStr;
use unicode_width::UnicodeWidthStr;

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
pub fn render(columns: &[(&str, Align)], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let widths = widths(columns, rows, width);
    let titles: Vec<_> = columns.iter().map(|column| column.0.to_string()).collect();
    let mut lines = vec![format!("{TITLE}{}{TITLE:#}", line(columns, &widths, &titles))];
    lines.extend(rows.iter().map(|row| line(columns, &widths, row)));
    lines
}

/// Leaves out the `expendable` columns, one after the other, until the rest fits into `width`.
pub fn narrow<'t>(
    columns: &[(&'t str, Align)],
    rows: &[Vec<String>],
    width: usize,
    expendable: &[&str],
) -> (Vec<(&'t str, Align)>, Vec<Vec<String>>) {
    let (mut columns, mut rows) = (columns.to_vec(), rows.to_vec());
    for title in expendable {
        let natural = total(&widths(&columns, &rows, usize::MAX));
        let Some(place) = columns.iter().position(|column| column.0 == *title) else { continue };
        if natural > width {
            columns.remove(place);
            rows.iter_mut().for_each(|row| drop(row.remove(place)));
        }
    }
    (columns, rows)
}

/// How wide lines may be: as the terminal, if there is one.
pub fn room() -> usize {
    terminal_size().map_or(usize::MAX, |(width, _)| usize::from(width.0))
}

/// How wide a line is of columns of these widths.
pub fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Natural widths; where they are too much together, the widest column gives way first.
fn widths(columns: &[(&str, Align)], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let mut widths: Vec<_> = columns.iter().map(|column| column.0.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    fit(widths, width)
}

/// The widest gives way first.
pub fn fit(mut widths: Vec<usize>, width: usize) -> Vec<usize> {
    while total(&widths) > width {
        match widths.iter_mut().max_by_key(|width| **width) {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

fn line(columns: &[(&str, Align)], widths: &[usize], cells: &[String]) -> String {
    let aligns: Vec<_> = columns.iter().map(|column| column.1).collect();
    let cells: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| shorten(cell, *width)).collect();
    row(&aligns, widths, &cells)
}

/// One line. A cell that is wider than its column pushes the others aside.
pub fn row(aligns: &[Align], widths: &[usize], cells: &[String]) -> String {
    let mut line = String::new();
    for (number, ((align, width), cell)) in aligns.iter().zip(widths).zip(cells).enumerate() {
        if number > 0 {
            line.push_str("  ");
        }
        // Padding of the standard library counts characters.
        let padding = " ".repeat(width.saturating_sub(cell.width()));
        match align {
            Align::Left => line.extend([&**cell, &*padding]),
            Align::Right => line.extend([&*padding, &**cell]),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Cuts out the middle: both ends of an address and its port tell more than its start. Widths are those on a terminal,
/// where some characters take two columns and some none.
pub fn shorten(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_string();
    }
    let Some(shown) = width.checked_sub(1) else { return String::new() };
    let tail = shown / 2;
    let (head, _) = cell.unicode_truncate(shown - tail);
    let (tail, _) = cell.unicode_truncate_start(tail);
    format!("{head}…{tail}")
}

/// As much of the beginning as fits.
pub fn start(text: &str, width: usize) -> &str {
    text.unicode_truncate(width).0
}

/// How many columns a line takes, without what only colours.
pub fn width(line: &str) -> usize {
    anstream::adapter::strip_str(line).map(UnicodeWidthStr::width).sum()
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

    #[test]
    fn columns_are_those_of_a_terminal() {
        let columns = [("NAME", Align::Left), ("WHO", Align::Right), ("N", Align::Right)];
        let names = ["日本語日本語", "e\u{301}te\u{301}", "👩‍👩‍👧‍👦 🇩🇪", "plain", "ｗｉｄｅ"];
        let rows: Vec<_> = names.map(|name| vec![name.to_string(), name.to_string(), "7".into()]).into();
        for width in 8..60 {
            let lines = render(&columns, &rows, width);
            let widths: Vec<_> = lines.iter().map(|line| super::width(line)).collect();
            assert!(widths.iter().all(|one| *one <= width.max(15) && *one == widths[0]), "{lines:#?}");
        }
        assert_eq!(
            (shorten("日本語日本語", 6), shorten("日本語日本語", 7)),
            ("日…語".into(), "日…語".into())
        );
        assert_eq!((shorten("日本語", 1), shorten("日本語", 0)), ("…".into(), String::new()));
        assert_eq!(start("日本語", 5), "日本");
    }
}
