//! The screen, drawn.

use super::group::{Group, Sort};
use super::layout::{self, Column};
use super::view::{Line, Mode, View};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

const HELP: &str = "
  < >   ← →       the column that rows are sorted by     r   the other way round
  ↑ ↓   PgUp PgDn the row
  Enter           its conversations                      Esc back
  1 2 3   g       processes, containers, destinations
  /               a filter of conversations, as of `weir run`; empty: all
  p   space       stop the picture; counting goes on
  q   Ctrl-C      quit

  IN/S and OUT/S are bits a second, PKT/S packets a second both ways, in the
  last interval. TOTAL is what moved since the start. RTT is the longest
  smoothed round-trip time of TCP connections, RETR what was sent again and
  FAIL what failed since the start. The curve shows the last intervals.
  A conversation between two processes of this host is in the rows of both.
  Row - is what no process here is known for, (other) what is in no row. What
  is dim has ended. Without room PKT/S, WHERE and FAIL are left out first.

  Any key goes back.";

const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const FINE: Style = Style::new().fg(Color::Green);

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let parts = Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)]);
    let [head, middle, foot] = parts.areas(frame.area());
    frame.render_widget(Paragraph::new(vec![summary(view), state(view)]), head);
    match view.mode {
        Mode::Help => frame.render_widget(Paragraph::new(HELP), middle),
        Mode::Rows | Mode::Filter(..) => table(frame, middle, view),
    }
    frame.render_widget(Paragraph::new(bottom(view)), foot);
}

fn summary(view: &View) -> Text<'static> {
    let style = if view.summary.is_fine() { FINE } else { ALARM };
    Text::from(vec![Span::raw(view.summary.counted()), Span::styled(view.summary.verdict(), style)])
}

/// What is shown, of which conversations.
fn state(view: &View) -> Text<'static> {
    let group = match view.group {
        Group::Process => "processes",
        Group::Container => "containers",
        Group::Destination => "destinations",
    };
    let mut words = match &view.inside {
        Some(key) => format!("conversations of {}", key.name),
        None => format!("{} {group}", view.lines.len()),
    };
    if let Some(told_by) = &view.told_by {
        words += &format!("  {told_by}");
    }
    if let Some(filter) = &view.filter {
        words += &format!("  where {filter}");
    }
    let paused = if view.is_paused { "PAUSED  " } else { "" };
    Text::from(vec![Span::styled(paused, TITLE), Span::styled(words, QUIET)])
}

fn bottom(view: &View) -> Text<'_> {
    match &view.mode {
        Mode::Filter(text, None) => Text::from(format!("/{text}█")),
        Mode::Filter(text, Some(mistake)) => {
            Text::from(vec![Span::raw(format!("/{text}█  ")), Span::styled(mistake.as_str(), ALARM)])
        }
        Mode::Rows | Mode::Help => match &view.notice {
            Some(notice) => Text::styled(notice.as_str(), ALARM),
            None => Text::styled(
                "? help   < > sort   g group   / filter   Enter look inside   p pause   q quit",
                QUIET,
            ),
        },
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let columns = match view.inside {
        Some(_) => layout::of_conversations(area.width),
        None => layout::of_rows(view.group, view.sort, area.width),
    };
    let rows = view.lines.iter().map(|line| row(line, &columns));
    let titles = columns
        .iter()
        .map(|column| Cell::from(Text::from(title(column, view)).alignment(side(column.title))));
    let widths = columns.iter().map(|column| Constraint::Length(column.width));
    let table = Table::new(rows, widths).header(Row::new(titles).style(TITLE)).row_highlight_style(CHOSEN);
    let mut state = TableState::new().with_selected(Some(view.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

/// The column that rows are sorted by says so.
fn title(column: &Column, view: &View) -> String {
    let by_rate = view.sort == Sort::Rate && ["IN/S", "OUT/S"].contains(&column.title);
    let mark = if view.is_reversed { '▲' } else { '▼' };
    match column.sort {
        Some(sort) if sort == view.sort || by_rate => format!("{}{mark}", column.title),
        _ => column.title.into(),
    }
}

fn side(title: &str) -> Alignment {
    match title {
        "NAME" | "WHERE" | "HISTORY" | "PROTO" | "SOURCE" | "DESTINATION" | "STATE" => Alignment::Left,
        _ => Alignment::Right,
    }
}

fn row(line: &Line, columns: &[Column]) -> Row<'static> {
    let cells = columns.iter().map(|column| {
        let text = match column.cell {
            Some(cell) => line.cells.get(cell).cloned().unwrap_or_default(),
            None => curve(&line.past, column.width),
        };
        let text = crate::table::shorten(&text, usize::from(column.width));
        Cell::from(Text::from(text).alignment(side(column.title)))
    });
    let style = if line.is_over { QUIET } else { Style::new() };
    Row::new(cells.collect::<Vec<_>>()).style(style)
}

/// The last intervals as bars, against the largest of them.
fn curve(past: &[u64], width: u16) -> String {
    let shown = &past[past.len().saturating_sub(usize::from(width))..];
    let most = shown.iter().copied().max().unwrap_or(0).max(1);
    // Whatever is not nothing is to be seen.
    let bar = |moved: &u64| BARS[(u128::from(*moved) * 8).div_ceil(u128::from(most)) as usize];
    shown.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().count() <= 21 && HELP.lines().all(|line| line.chars().count() <= 80), "{HELP}");
    }

    #[test]
    fn a_curve_is_against_its_largest_and_shows_what_is_small() {
        assert_eq!(curve(&[0, 1, 500, 1000], 4), " ▁▄█");
        assert_eq!(curve(&[9, 0, u64::MAX], 2), " █");
        assert_eq!(curve(&[0, 0], 2), "  ");
    }
}
