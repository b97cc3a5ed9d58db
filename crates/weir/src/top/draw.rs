//! The screen, drawn.

use super::group::{Group, Sort};
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
  /               a filter of conversations, as in `weir run --filter`; empty: all
  p   space       stop the picture; counting goes on
  q   Ctrl-C      quit

  IN/S and OUT/S are bits a second, PKT/S packets a second both ways, in the
  last interval. TOTAL is what moved since the start. The curve shows the last
  sixty intervals. A conversation between two processes of this host is in the
  rows of both. Row - is what no process here is known for, (other) what is in
  no row. What is dim has ended.

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

/// A column: its title, its width, what sorts by it.
type Column = (&'static str, u16, Option<Sort>);

const FIRST: [Column; 2] = [("NAME", 15, Some(Sort::Name)), ("PID", 7, Some(Sort::Pid))];
const NUMBERS: [Column; 5] = [
    ("FLOWS", 5, Some(Sort::Flows)),
    ("IN/S", 7, Some(Sort::In)),
    ("OUT/S", 7, Some(Sort::Out)),
    ("PKT/S", 6, Some(Sort::Packets)),
    ("TOTAL", 9, Some(Sort::Total)),
];

/// What is fixed goes first; the place and the curve share the rest.
fn columns(view: &View, width: u16) -> Vec<Column> {
    if view.inside.is_some() {
        let ends = width.saturating_sub(9 + 11 + 7 + 7 + 9 + 6) / 2;
        return vec![
            ("PROTO", 9, None),
            ("SOURCE", ends, None),
            ("DESTINATION", ends, None),
            ("STATE", 11, None),
            ("FORTH/S", 7, None),
            ("BACK/S", 7, None),
            ("TOTAL", 9, None),
        ];
    }
    let fixed: u16 = FIRST.iter().chain(&NUMBERS).map(|column| column.1 + 1).sum();
    let mut first = FIRST;
    let names = if view.group == Group::Process { 0 } else { first[1].1 + 1 };
    first[0].1 += names;
    let rest = width.saturating_sub(fixed + 1);
    let place = (rest / 2).min(30);
    let shown = FIRST.len() - usize::from(names > 0);
    let mut columns = first[..shown].to_vec();
    columns.push(("WHERE", place, None));
    columns.extend(NUMBERS);
    columns.push(("HISTORY", (rest - place).min(60), None));
    columns
}

fn table(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let columns = columns(view, area.width);
    let rows = view.lines.iter().map(|line| row(line, &columns));
    let titles =
        columns.iter().map(|column| Cell::from(Text::from(title(column, view)).alignment(side(column.0))));
    let widths = columns.iter().map(|column| Constraint::Length(column.1));
    let table = Table::new(rows, widths).header(Row::new(titles).style(TITLE)).row_highlight_style(CHOSEN);
    let mut state = TableState::new().with_selected(Some(view.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

/// The column that rows are sorted by says so.
fn title(column: &Column, view: &View) -> String {
    let by_rate = view.sort == Sort::Rate && ["IN/S", "OUT/S"].contains(&column.0);
    let mark = if view.is_reversed { '▲' } else { '▼' };
    match column.2 {
        Some(sort) if sort == view.sort || by_rate => format!("{}{mark}", column.0),
        _ => column.0.into(),
    }
}

fn side(title: &str) -> Alignment {
    match title {
        "NAME" | "WHERE" | "HISTORY" | "PROTO" | "SOURCE" | "DESTINATION" | "STATE" => Alignment::Left,
        _ => Alignment::Right,
    }
}

fn row(line: &Line, columns: &[Column]) -> Row<'static> {
    // Only processes have numbers; other rows leave that cell out.
    let all = line.cells.len() + usize::from(!line.past.is_empty());
    let cells = line.cells.iter().enumerate().filter(|(place, _)| columns.len() == all || *place != 1);
    let texts = cells.map(|(_, cell)| cell.clone());
    let curve =
        (!line.past.is_empty()).then(|| curve(&line.past, columns.last().map_or(0, |column| column.1)));
    let cells = texts.chain(curve).zip(columns).map(|(text, column)| {
        let text = crate::table::shorten(&text, usize::from(column.1));
        Cell::from(Text::from(text).alignment(side(column.0)))
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
    fn a_curve_is_against_its_largest_and_shows_what_is_small() {
        assert_eq!(curve(&[0, 1, 500, 1000], 4), " ▁▄█");
        assert_eq!(curve(&[9, 0, u64::MAX], 2), " █");
        assert_eq!(curve(&[0, 0], 2), "  ");
    }
}
