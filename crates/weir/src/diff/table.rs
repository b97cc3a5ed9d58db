//! For people: a table for each list that has anything.

use super::compare::Change;
use super::tally::Seen;
use super::words::{peer, port, subject};
use super::{Difference, Side};
use crate::history::day_and_time;
use crate::table::{self, Align};
use crate::text;
use jiff::Zoned;
use std::io::{self, Write};
use std::time::Duration;

/// Rows of a list where nothing else is said.
const TOP: usize = 10;
/// Processes that are named in a row; JSON names all.
const PROCESSES: usize = 2;

/// What a terminal can do without, the first first.
const EXPENDABLE: [&str; 3] = ["FIRST", "CONVS", "PROCESS"];

/// Prints it, at most `top` of each list.
pub fn print(difference: &Difference, top: Option<usize>) -> io::Result<()> {
    let screen = Screen { width: table::room(), now: Zoned::now(), top: top.unwrap_or(TOP) };
    let (new, vanished) = (&difference.new, &difference.vanished);
    let lists = [
        screen.periods(difference),
        screen.seen("NEW PEERS", &new.peers, peer),
        screen.seen("NEW PORTS", &new.ports, port),
        screen.seen("NEW PROCESSES", &new.processes, String::clone),
        screen.seen("VANISHED PEERS", &vanished.peers, peer),
        screen.seen("VANISHED PORTS", &vanished.ports, port),
        screen.seen("VANISHED PROCESSES", &vanished.processes, String::clone),
        screen.changed("CHANGED FAILURE RATES", &difference.changed.failure_rate, share),
        screen.changed("CHANGED ROUND-TRIP TIMES", &difference.changed.rtt, latency),
        screen.changed("CHANGED BYTES", &difference.changed.bytes, bit_rate),
        screen.changed("CHANGED CONVERSATIONS", &difference.changed.conversations, per_time),
    ];
    let mut lists: Vec<_> = lists.into_iter().filter(|lines| !lines.is_empty()).collect();
    if lists.len() == 1 {
        lists.push(vec!["nothing is new, nothing has vanished, nothing has changed much".into()]);
    }
    let mut out = anstream::AutoStream::auto(io::stdout()).lock();
    let lines: Vec<_> = lists.into_iter().map(|lines| lines.join("\n")).collect();
    writeln!(out, "{}", lines.join("\n\n"))?;
    out.flush()
}

struct Screen {
    width: usize,
    now: Zoned,
    top: usize,
}

impl Screen {
    fn periods(&self, difference: &Difference) -> Vec<String> {
        let titles = [
            ("", Align::Left),
            ("PERIOD", Align::Left),
            ("FROM", Align::Left),
            ("TO", Align::Left),
            ("CONVS", Align::Right),
            ("BYTES", Align::Right),
        ];
        let rows = [("before", &difference.before), ("after", &difference.after)];
        let rows: Vec<_> = rows.map(|(which, side)| self.period(which, side)).into();
        let (titles, rows) = table::narrow(&titles, &rows, self.width, &["PERIOD"]);
        table::render(&titles, &rows, self.width)
    }

    fn period(&self, which: &str, side: &Side) -> Vec<String> {
        let clock = |nanos| day_and_time(nanos, &self.now);
        vec![
            which.into(),
            side.period.word.clone(),
            clock(side.coverage.from),
            clock(side.coverage.to),
            text::count(side.tally.total.conversations),
            text::bytes(side.tally.total.bytes),
        ]
    }

    /// A list of what one of the periods has alone.
    fn seen<K>(&self, title: &str, list: &[(K, Seen)], shown: fn(&K) -> String) -> Vec<String> {
        if list.is_empty() {
            return Vec::new();
        }
        let mut rows: Vec<_> =
            list.iter().take(self.top).map(|(key, seen)| self.row(shown(key), seen)).collect();
        if list.len() > self.top {
            let mut others = Seen::default();
            list.iter().skip(self.top).for_each(|(_, seen)| others.add(seen));
            others.processes.clear();
            rows.push(self.row(self.others(list.len()), &others));
        }
        let mut titles = vec![
            (title, Align::Left),
            ("PROCESS", Align::Left),
            ("CONVS", Align::Right),
            ("BYTES", Align::Right),
            ("FIRST", Align::Left),
        ];
        // Of a process there is no more to say than its name.
        if rows.iter().all(|row| row[1].is_empty()) {
            titles.remove(1);
            rows.iter_mut().for_each(|row| drop(row.remove(1)));
        }
        let (titles, rows) = table::narrow(&titles, &rows, self.width, &EXPENDABLE);
        table::render(&titles, &rows, self.width)
    }

    fn row(&self, name: String, seen: &Seen) -> Vec<String> {
        let first: Vec<_> = seen.processes.iter().take(PROCESSES).map(String::as_str).collect();
        let more = seen.processes.len() - first.len();
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        vec![
            name,
            first.join(", ") + &more,
            text::count(seen.conversations),
            text::bytes(seen.bytes),
            day_and_time(seen.first, &self.now),
        ]
    }

    fn changed(&self, title: &str, list: &[Change], shown: fn(f64) -> String) -> Vec<String> {
        if list.is_empty() {
            return Vec::new();
        }
        let mut rows: Vec<_> = list
            .iter()
            .take(self.top)
            .map(|change| {
                vec![subject(&change.subject), shown(change.before), shown(change.after), factor(change)]
            })
            .collect();
        if list.len() > self.top {
            rows.push(vec![self.others(list.len()), String::new(), String::new(), String::new()]);
        }
        let titles = [
            (title, Align::Left),
            ("BEFORE", Align::Right),
            ("AFTER", Align::Right),
            ("FACTOR", Align::Right),
        ];
        table::render(&titles, &rows, self.width)
    }

    fn others(&self, count: usize) -> String {
        format!("({} others)", text::grouped((count - self.top) as u64))
    }
}

fn factor(change: &Change) -> String {
    match change.factor() {
        None => "-".into(),
        Some(factor) if factor >= 1.0 => format!("×{}", times(factor)),
        Some(factor) if factor > 0.0 => format!("÷{}", times(1.0 / factor)),
        Some(_) => "-".into(),
    }
}

fn times(factor: f64) -> String {
    if factor < 10.0 { format!("{factor:.1}") } else { text::count(factor.round() as u64) }
}

fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn latency(micros: f64) -> String {
    text::micros(micros as u64)
}

fn bit_rate(bytes: f64) -> String {
    format!("{}bit/s", unit(text::bit_rate(bytes.round() as u64, Duration::from_secs(1))))
}

/// `850` and `1.2 M`, so that a unit can follow.
fn unit(number: String) -> String {
    if number.contains(' ') { number } else { format!("{number} ") }
}

/// Of a second, or of so long that there is one at least.
fn per_time(a_second: f64) -> String {
    let units = [("s", 1.0), ("min", 60.0), ("h", 3600.0)];
    let fitting = units.into_iter().find(|(_, seconds)| a_second * seconds >= 1.0);
    let (unit, seconds) = fitting.unwrap_or(("d", 86_400.0));
    format!("{:.1}/{unit}", a_second * seconds)
}

#[cfg(test)]
mod tests {
    use super::super::tally::Subject;
    use super::*;

    #[test]
    fn figures_are_short() {
        let change = |before, after| factor(&Change { subject: Subject::Process("a".into()), before, after });
        assert_eq!([change(1.0, 2.44), change(2.0, 1.0), change(1.0, 40.0)], ["×2.4", "÷2.0", "×40"]);
        assert_eq!([change(0.0, 1.0), change(1.0, 0.0)], ["-", "-"]);
        assert_eq!([share(0.125), latency(2500.0), bit_rate(50.0)], ["12.5 %", "2.5 ms", "400 bit/s"]);
        assert_eq!(bit_rate(125_000.0), "1.0 Mbit/s");
        assert_eq!([per_time(2.0), per_time(0.05), per_time(0.000_5)], ["2.0/s", "3.0/min", "1.8/h"]);
    }
}
