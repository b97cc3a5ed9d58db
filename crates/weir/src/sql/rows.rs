//! Rows as people read them: in columns, or where those do not fit, one below the other.

use crate::table::{Align, QUIET, TITLE, fit, room, row, shorten, start, total};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Rows by which columns are measured; those after them fit in or are cut.
const MEASURED: usize = 1000;
/// Narrower than this a column says nothing.
const LEGIBLE: usize = 8;

/// Rows as they come, once it is known how they are shown.
#[derive(Default)]
pub struct Rows {
    columns: Vec<(String, Align)>,
    waiting: Vec<Vec<String>>,
    shape: Option<Shape>,
    printed: usize,
}

enum Shape {
    /// As wide as these.
    Columns(Vec<usize>),
    /// A line for each value that is there, in so much room.
    Lines(usize),
}

impl Rows {
    /// Of these columns.
    pub fn begin(&mut self, columns: Vec<(String, Align)>) {
        self.columns = columns;
    }

    /// One more.
    pub fn push(&mut self, mut cells: Vec<String>) -> io::Result<()> {
        // Only plans have lines: a text from outside shall not draw rows of its own.
        if self.columns.first().is_none_or(|column| column.0 != "plan_type") {
            cells.iter_mut().for_each(|cell| *cell = cell.replace(char::is_control, " "));
        }
        if self.shape.is_some() {
            return self.print(&[cells]);
        }
        self.waiting.push(cells);
        if self.waiting.len() >= MEASURED { self.measure() } else { Ok(()) }
    }

    /// That was all.
    pub fn end(&mut self) -> io::Result<()> {
        // Without columns there was no answer.
        if self.shape.is_none() && !self.columns.is_empty() { self.measure() } else { Ok(()) }
    }

    fn measure(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let room = room();
        let shape = shape(&self.columns, &waiting, room);
        if let Shape::Columns(widths) = &shape {
            let titles = self.columns.iter().zip(widths).map(|((title, _), width)| shorten(title, *width));
            let line = row(&self.aligns(), widths, &titles.collect::<Vec<_>>());
            writeln!(anstream::stdout().lock(), "{TITLE}{line}{TITLE:#}")?;
        }
        self.shape = Some(shape);
        self.print(&waiting)
    }

    fn aligns(&self) -> Vec<Align> {
        self.columns.iter().map(|column| column.1).collect()
    }

    fn print(&mut self, rows: &[Vec<String>]) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        for cells in rows {
            self.printed += 1;
            match &self.shape {
                Some(Shape::Columns(widths)) => {
                    for cells in lines(cells) {
                        let cells = cells.iter().zip(widths).map(|(cell, width)| shorten(cell, *width));
                        writeln!(out, "{}", row(&self.aligns(), widths, &cells.collect::<Vec<_>>()))?;
                    }
                }
                Some(Shape::Lines(room)) => {
                    writeln!(out, "{QUIET}row {}{QUIET:#}", self.printed)?;
                    let longest = self.columns.iter().map(|(title, _)| title.width()).max().unwrap_or(0);
                    for ((title, _), cell) in
                        self.columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty())
                    {
                        let cell = cell.replace(char::is_control, " ");
                        writeln!(
                            out,
                            "{title:longest$}  {}",
                            start(&cell, room.saturating_sub(longest + 2))
                        )?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Columns, as long as each of them can be read.
fn shape(columns: &[(String, Align)], rows: &[Vec<String>], room: usize) -> Shape {
    let width = |place: usize, title: &str| {
        let cells = rows.iter().filter_map(|row| row.get(place)).flat_map(|cell| cell.lines());
        cells.map(UnicodeWidthStr::width).max().unwrap_or(0).max(title.width())
    };
    let natural: Vec<_> = columns.iter().enumerate().map(|(place, (title, _))| width(place, title)).collect();
    let widths = fit(natural.clone(), room);
    let is_legible =
        widths.iter().zip(&natural).all(|(width, natural)| width == natural || *width >= LEGIBLE);
    if is_legible && total(&widths) <= room { Shape::Columns(widths) } else { Shape::Lines(room) }
}

/// A cell of several lines, as those of a plan, takes as many.
fn lines(cells: &[String]) -> Vec<Vec<String>> {
    let parts: Vec<Vec<&str>> = cells.iter().map(|cell| cell.trim_end().split('\n').collect()).collect();
    // What is in texts comes from outside.
    let part =
        |of: &Vec<&str>, at: usize| of.get(at).copied().unwrap_or_default().replace(char::is_control, " ");
    let most = parts.iter().map(Vec::len).max().unwrap_or(0);
    (0..most).map(|at| parts.iter().map(|of| part(of, at)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<(String, Align)> {
        names.iter().map(|name| ((*name).to_owned(), Align::Left)).collect()
    }

    #[test]
    fn columns_that_cannot_be_read_are_lines() {
        let row = |width: usize, count: usize| vec![vec!["x".repeat(width); count]];
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let is_wide =
            |rows: &[Vec<String>], room| matches!(shape(&columns(&names), rows, room), Shape::Columns(_));
        assert!(is_wide(&row(3, 8), 80) && is_wide(&row(20, 8), 80) && is_wide(&row(30, 8), usize::MAX));
        assert!(!is_wide(&row(20, 8), 60) && !is_wide(&row(3, 8), 20));
    }

    #[test]
    fn a_cell_of_several_lines_takes_as_many() {
        let cells = ["plan".to_owned(), "Sort\n  Scan\n".into(), "\u{1b}[2J".into()];
        assert_eq!(lines(&cells), [["plan", "Sort", " [2J"], ["", "  Scan", ""]]);
        assert_eq!(lines(&[String::new()]), [[""]]);
    }
}
