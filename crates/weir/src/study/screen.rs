//! What a study shows while it goes on: a bar with the time left, and a table for every traffic.

use crate::table::{self, Align, Column};
use crate::text;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use terminal_size::{Width, terminal_size};
use weir_study::results::{Measured, NONE, Results, TrafficInfo, WEIR, dominated};

const COLUMNS: [Column; 8] = [
    ("ARM", Align::Left),
    ("MPPS", Align::Right),
    ("RATIO", Align::Right),
    ("(95 %)", Align::Left),
    ("NS COST", Align::Right),
    ("LOST", Align::Right),
    ("READER", Align::Right),
    ("MAPS", Align::Right),
];
/// Those that give way on a narrow terminal.
const EXPENDABLE: [&str; 2] = ["MAPS", "(95 %)"];
const BAR: usize = 24;
/// Before what was measured on a machine that was slow.
const SLOW: &str = "~";
/// Between two pictures of the bar.
const GLANCE: Duration = Duration::from_millis(100);

/// The terminal.
pub struct Screen {
    begun: Instant,
    drawn: Option<Instant>,
    on_terminal: bool,
}

impl Screen {
    pub fn new() -> Self {
        Self { begun: Instant::now(), drawn: None, on_terminal: io::stderr().is_terminal() }
    }

    /// The bar; nothing where nobody looks on.
    pub fn progress(&mut self, done: f64, doing: &str) {
        if !self.on_terminal || self.drawn.is_some_and(|drawn| drawn.elapsed() < GLANCE) {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = bar(done, self.begun.elapsed(), doing);
        let shown: String = line.chars().take(width() - 1).collect();
        eprint!("\r{shown}\x1b[K");
        let _ = io::stderr().flush();
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }

    /// What all arms did under one traffic.
    pub fn table(&mut self, traffic: &TrafficInfo, results: &Results) {
        self.clear();
        let of_traffic = results.results.iter().filter(|one| one.traffic == traffic.name);
        let rows: Vec<Vec<String>> = of_traffic.map(row).collect();
        let (columns, rows) = table::narrow(&COLUMNS, &rows, width(), &EXPENDABLE);
        anstream::println!("\n{} ({}, sent by {})", traffic.name, traffic.about, traffic.generator);
        for line in table::render(&columns, &rows, width()) {
            anstream::println!("{line}");
        }
    }
}

fn width() -> usize {
    terminal_size().map_or(80, |(Width(width), _)| usize::from(width).max(40))
}

/// `[######------]  50 %, 2 min left: hash under 40-flows`.
fn bar(done: f64, elapsed: Duration, doing: &str) -> String {
    let filled = ((done * BAR as f64) as usize).min(BAR);
    let left = if done > 0.01 {
        let seconds = elapsed.as_secs_f64() * (1.0 - done) / done;
        format!("{} left", in_words(Duration::from_secs_f64(seconds)))
    } else {
        "beginning".into()
    };
    let (full, empty) = ("#".repeat(filled), "-".repeat(BAR - filled));
    format!("[{full}{empty}] {:3.0} %, {left}: {doing}", done * 100.0)
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{} s", seconds + 1),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

fn row(one: &Measured) -> Vec<String> {
    let none = one.arm == NONE;
    let unless_none = |text: String| if none { String::new() } else { text };
    vec![
        one.arm.clone(),
        format!("{:.3}", one.mpps),
        format!("{:.3}", one.ratio),
        unless_none(format!("{:.3}-{:.3}", one.ratio_low, one.ratio_high)),
        unless_none(format!("{}{:.0}", if one.disturbed { SLOW } else { "" }, one.cost_ns)),
        lost(one),
        unless_none(format!("{:.0} %", one.consumer_cpu * 100.0)),
        if one.map_bytes == 0 { String::new() } else { text::bytes(one.map_bytes) },
    ]
}

/// The share of packets that the arm did not report; nothing for those that report none.
fn lost(one: &Measured) -> String {
    match (one.lost, one.accuracy_packets) {
        (0, None) => String::new(),
        (0, Some(_)) => "0".into(),
        (lost, _) => format!("{:.2} %", lost as f64 / one.received.max(1) as f64 * 100.0),
    }
}

/// What the whole came to.
pub fn conclude(results: &Results, directory: &Path) {
    println!();
    for lesson in &results.lessons {
        println!("{}: {}\n  {}", lesson.verdict, lesson.claim, lesson.because);
    }
    if results.results.iter().any(|one| one.disturbed) {
        println!("{SLOW}: the machine was too slow too often; such a figure was held against no other.");
    }
    let dominated = dominated(results);
    for one in &dominated {
        println!("{one}");
    }
    if dominated.is_empty() && results.results.iter().any(|one| one.arm == WEIR) {
        println!("No other arm that lost nothing was more than 10 % cheaper than weir under any traffic.");
    }
    println!("The report is {}", directory.join("report.html").display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_long() {
        let half = bar(0.5, Duration::from_secs(30), "hash under 1-flow");
        assert_eq!(half, "[############------------]  50 %, 31 s left: hash under 1-flow");
        assert!(bar(0.1, Duration::from_secs(60), "x").contains("9 min left"));
        assert!(bar(0.0, Duration::ZERO, "x").contains("beginning"));
        assert!(bar(1.0, Duration::from_secs(9), "x").starts_with("[########################] 100 %"));
    }
}
