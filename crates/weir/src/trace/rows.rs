//! Events as rows for people.

use super::Shows;
use super::column::Shown;
use crate::table::{self, ALARM, Align, TITLE};
use crate::text;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use weir_agent::Told;
use weir_record::EventKind;

/// Columns, and how wide each is.
pub struct Rows {
    columns: Vec<Shown>,
    aligns: Vec<Align>,
    widths: Vec<usize>,
    /// In a pipe nothing is cut.
    is_on_terminal: bool,
    zone: TimeZone,
}

impl Rows {
    /// Within the terminal, if it is one.
    pub fn new((columns, kinds): (Vec<Shown>, Vec<&'static EventKind>)) -> Self {
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let (aligns, usual): (Vec<_>, Vec<_>) = columns.iter().map(|one| one.measure(&kinds)).unzip();
        let is_long: Vec<_> = columns.iter().map(Shown::is_long).collect();
        let widths = match width {
            Some(width) => table::fit(spread(usual, &is_long, width), width),
            None => usual,
        };
        let is_on_terminal = width.is_some();
        Self { columns, aligns, widths, is_on_terminal, zone: TimeZone::system() }
    }

    fn line(&self, cells: &[String]) -> String {
        if !self.is_on_terminal {
            return table::row(&self.aligns, &self.widths, cells);
        }
        let cut =
            cells.iter().zip(&self.widths).zip(&self.columns).map(|((cell, width), column)| match column {
                Shown::What => table::start(cell, *width).to_owned(),
                _ => table::shorten(cell, *width),
            });
        table::row(&self.aligns, &self.widths, &cut.collect::<Vec<_>>())
    }
}

/// What is left of the terminal goes to columns that have use for it.
fn spread(mut widths: Vec<usize>, is_long: &[bool], width: usize) -> Vec<usize> {
    /// More than that nothing has to say.
    const ENOUGH: usize = 200;
    while table::total(&widths) < width {
        let long = widths.iter_mut().zip(is_long).filter(|(width, is_long)| **is_long && **width < ENOUGH);
        let Some((narrowest, _)) = long.min_by_key(|(width, _)| **width) else { break };
        *narrowest += 1;
    }
    widths
}

impl Shows for Rows {
    fn begin(&mut self) -> io::Result<()> {
        let titles: Vec<_> = self.columns.iter().map(Shown::title).collect();
        writeln!(anstream::stdout().lock(), "{TITLE}{}{TITLE:#}", self.line(&titles))
    }

    fn show(&mut self, told: &Told) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        match told {
            Told::Event(event) => {
                let cells: Vec<_> =
                    self.columns.iter().map(|column| column.cell(event, &self.zone)).collect();
                writeln!(out, "{}", self.line(&cells))
            }
            Told::Lost(lost) => {
                let (count, probe) = (text::grouped(lost.events), lost.probe);
                writeln!(
                    out,
                    "{ALARM}-- {count} events of {probe} are missing here: too many at once{ALARM:#}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_to_what_is_long() {
        assert_eq!(spread(vec![15, 21, 21], &[false, true, true], 71), [15, 26, 26]);
        assert_eq!(spread(vec![15, 21], &[false, true], 300), [15, 200]);
        assert_eq!(spread(vec![15, 21], &[false, true], 20), [15, 21]);
    }
}
