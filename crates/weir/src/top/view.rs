//! What the screen shows, and how keys change it.

use super::Arguments;
use super::fared::Whose;
use super::group::{Group, Key, Row, Sort, keys, rows, wanted};
use super::listener::Board;
use super::once::{cells, rtt};
use super::tally::Flow;
use crate::columns;
use crate::text;
use crate::view::Summary;
use std::time::Duration;
use weir_filter::Filter;

/// What is in the foot, and whom keys speak to.
pub enum Mode {
    Rows,
    /// The filter that is being written, and what is wrong with it.
    Filter(String, Option<String>),
    Help,
}

/// A line of the table: its cells, and what its last intervals were like.
pub struct Line {
    pub cells: Vec<String>,
    pub past: Vec<u64>,
    /// Whether all of it has ended.
    pub is_over: bool,
}

/// All that the screen shows.
pub struct View {
    pub group: Group,
    pub sort: Sort,
    pub is_reversed: bool,
    pub is_paused: bool,
    pub filter: Option<Filter>,
    pub mode: Mode,
    /// The row whose conversations are shown.
    pub inside: Option<Key>,
    pub selected: usize,
    pub lines: Vec<Line>,
    pub summary: Summary,
    pub told_by: Option<String>,
    pub notice: Option<String>,
    rows: Vec<Row>,
    shown: Option<u64>,
}

impl View {
    pub fn new(arguments: &Arguments) -> Self {
        Self {
            group: arguments.group,
            sort: arguments.sort,
            is_reversed: false,
            is_paused: false,
            filter: arguments.filter.clone(),
            mode: Mode::Rows,
            inside: None,
            selected: 0,
            lines: Vec::new(),
            summary: Summary::default(),
            told_by: None,
            notice: None,
            rows: Vec::new(),
            shown: None,
        }
    }

    /// Whether the board has something that is not shown yet, and it is wanted.
    pub fn is_behind(&self, board: &Board) -> bool {
        let is_known = self.shown == Some(board.tally.last_interval())
            && (&self.told_by, &self.notice) == (&board.told_by, &board.notice);
        !self.is_paused && !is_known
    }

    /// Takes in what is on the board now.
    pub fn look_at(&mut self, board: &Board) {
        let selected = self.rows.get(self.selected).map(|row| row.key.clone());
        self.rows = rows(&board.tally, self.group, self.filter.as_ref());
        self.sort.apply(&mut self.rows);
        if self.is_reversed {
            self.rows.reverse();
        }
        self.lines = match &self.inside {
            Some(key) => self.conversations(board, key),
            None => self.rows.iter().map(|row| line(row, board.time)).collect(),
        };
        // The bar stays where the eye has put it: on the first row, or with its row.
        if let (1.., None, Some(key)) = (self.selected, &self.inside, selected) {
            self.selected = self.rows.iter().position(|row| row.key == key).unwrap_or(self.selected);
        }
        self.selected = self.selected.min(self.lines.len().saturating_sub(1));
        (self.summary, self.shown) = (board.summary, Some(board.tally.last_interval()));
        self.told_by.clone_from(&board.told_by);
        self.notice.clone_from(&board.notice);
    }

    /// The conversations of a row, those that move most first.
    fn conversations(&self, board: &Board, key: &Key) -> Vec<Line> {
        let last = board.tally.last_interval();
        let of_row = |flow: &&Flow| keys(self.group, &flow.record).iter().any(|one| one.0 == *key);
        let mut flows: Vec<_> = wanted(&board.tally, self.filter.as_ref()).filter(of_row).collect();
        flows.sort_by_key(|flow| {
            let moved = (flow.moved_in(last).bytes(), flow.over.is_none(), flow.total.bytes());
            std::cmp::Reverse((moved, flow.record.flow_id))
        });
        let rate = |bytes| if bytes == 0 { "-".into() } else { text::bit_rate(bytes, board.time) };
        let line = |flow: &Flow| {
            let (source, destination) = columns::ends(&flow.record);
            let (state, moved) = (flow.record.tcp_state, flow.moved_in(last));
            let cells = vec![
                columns::protocol(&flow.record.key),
                source,
                destination,
                state.map_or("-", |state| state.as_str()).into(),
                rate(moved.forth.bytes),
                rate(moved.back.bytes),
                text::bytes(flow.total.bytes()),
                rtt(Whose::Both.rtt(&flow.record)),
                match flow.fared(Whose::Both).retransmitted_segments {
                    0 => "-".into(),
                    segments => text::count(segments),
                },
            ];
            Line { cells, past: Vec::new(), is_over: flow.over.is_some() }
        };
        flows.into_iter().map(line).collect()
    }

    /// Into the selected row.
    pub fn enter(&mut self) {
        if self.inside.is_none() {
            self.inside = self.rows.get(self.selected).map(|row| row.key.clone());
            self.selected = 0;
        }
    }

    /// Out of the row, back to it.
    pub fn leave(&mut self) {
        if let Some(key) = self.inside.take() {
            self.selected = self.rows.iter().position(|row| row.key == key).unwrap_or(0);
        }
    }

    pub fn change_group(&mut self, group: Group) {
        (self.group, self.inside, self.selected) = (group, None, 0);
    }

    /// Up or down by so many lines.
    pub fn go(&mut self, lines: isize) {
        let last = self.lines.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(lines).min(last);
    }

    /// The next column to sort by, or the one before.
    pub fn change_sort(&mut self, by: isize) {
        let all = Sort::ALL.len();
        let place = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = Sort::ALL[(place + all).saturating_add_signed(by) % all];
    }

    /// Follows the filter that was written, or says what is wrong with it.
    pub fn take_filter(&mut self, written: String) {
        let parsed = match written.trim() {
            "" => Ok(None),
            text => text.parse::<Filter>().map(Some),
        };
        match parsed {
            Ok(filter) => (self.filter, self.mode) = (filter, Mode::Rows),
            Err(mistake) => self.mode = Mode::Filter(written, Some(mistake.to_string())),
        }
    }
}

fn line(row: &Row, time: Duration) -> Line {
    Line { cells: cells(row, time), past: row.past.clone(), is_over: row.live == 0 }
}
