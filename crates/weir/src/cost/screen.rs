//! The measurement as people read it.

use super::shares::Share;
use super::{Cost, Measurement};
use crate::table::{self, Align, Column, QUIET};
use crate::text;
use std::io::{self, Write};
use std::time::Duration;
use weir_probes::{dns, flows, hellos};

const PROBES: [Column; 5] = [
    ("AGENT", Align::Left),
    ("PROBE", Align::Left),
    ("ONE CPU", Align::Right),
    ("ALL CPUS", Align::Right),
    ("SHARE", Align::Right),
];
const PROGRAMS: [Column; 7] = [
    ("AGENT", Align::Left),
    ("PROGRAM", Align::Left),
    ("ID", Align::Right),
    ("RUNS/S", Align::Right),
    ("NS/RUN", Align::Right),
    ("ONE CPU", Align::Right),
    ("ALL CPUS", Align::Right),
];

/// Prints it.
pub fn print(measurement: &Measurement) -> io::Result<()> {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    let mut out = anstream::stdout().lock();
    for line in lines(measurement, width) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn lines(measurement: &Measurement, width: usize) -> Vec<String> {
    let programs: Vec<_> = measurement.programs.iter().map(row).collect();
    let probes: Vec<_> = measurement.probes.iter().map(share_row).collect();
    let mut lines = summaries(measurement);
    for (columns, rows) in [(&PROBES[..], probes), (&PROGRAMS, programs)] {
        lines.push(String::new());
        lines.extend(table::render(columns, &rows, width));
    }
    lines.push(String::new());
    lines.extend(remarks(measurement).iter().map(|remark| format!("{QUIET}{remark}{QUIET:#}")));
    lines
}

fn remarks(measurement: &Measurement) -> Vec<String> {
    match measurement.measuring_ns {
        _ if measurement.programs.iter().all(|cost| cost.runs == 0) => {
            vec!["No packet came by in this time.".to_string()]
        }
        Some(own) => vec![
            "For packets, one run is a socket buffer: one, or segments that travel as one.".to_string(),
            format!("The measuring is in these figures: an empty program takes {own} ns by it."),
        ],
        None => vec!["The measuring itself is in these figures.".to_string()],
    }
}

/// Those that run once for each packet that is counted.
fn counts_packets(cost: &&Cost) -> bool {
    flows::PROGRAMS.contains(&cost.name.as_str())
}

/// Those that run for packets; the others run for system calls, and at other times.
fn is_for_packets(cost: &&Cost) -> bool {
    let hung = [&flows::PROGRAMS[..], &dns::PROGRAMS, &hellos::PROGRAMS];
    hung.iter().any(|names| names.contains(&cost.name.as_str()))
}

/// What its user came for: a line for each agent, since one's packets may be another's, or not.
fn summaries(measurement: &Measurement) -> Vec<String> {
    let one_agent = measurement.agents().count() <= 1;
    let line = |programs: &[Cost]| {
        let summary = summary(programs, measurement.seconds);
        match programs.iter().find_map(|cost| cost.pid) {
            _ if one_agent => summary,
            Some(pid) => format!("agent {pid}: {summary}"),
            None => format!("agent unknown: {summary}"),
        }
    };
    measurement.agents().map(line).collect()
}

fn summary(programs: &[Cost], seconds: f64) -> String {
    let runs: u64 = programs.iter().filter(counts_packets).map(|cost| cost.runs).sum();
    let nanoseconds: u64 = programs.iter().filter(is_for_packets).map(|cost| cost.run_time_ns).sum();
    let over = text::time(Duration::from_secs_f64(seconds));
    let share = percent(programs.iter().map(|cost| cost.cpu_percent).sum());
    if programs.iter().all(|cost| cost.runs == 0) {
        return format!("nothing to measure in {over}: weir's programs did not run");
    }
    if runs == 0 {
        return format!("{share} of one CPU in {over}; no packet was counted");
    }
    format!(
        "{:.0} ns per packet, {share} of one CPU: {} packets in {over}",
        nanoseconds as f64 / runs as f64,
        text::grouped(runs),
    )
}

fn share_row(share: &Share) -> Vec<String> {
    let or_dash = |value: f64| if share.run_time_ns > 0 { percent(value) } else { "-".into() };
    vec![
        agent(share.pid),
        share.probe.unwrap_or("-").into(),
        or_dash(share.cpu_percent),
        or_dash(share.cpu_percent_of_all),
        or_dash(share.share_percent.unwrap_or_default()),
    ]
}

fn row(cost: &Cost) -> Vec<String> {
    let or_dash = |text: String| if cost.runs > 0 { text } else { "-".into() };
    vec![
        agent(cost.pid),
        cost.name.clone(),
        cost.id.to_string(),
        or_dash(rate(cost.runs_per_second)),
        cost.ns_per_run.map_or("-".into(), |time| format!("{time:.0}")),
        or_dash(percent(cost.cpu_percent)),
        or_dash(percent(cost.cpu_percent_of_all)),
    ]
}

fn agent(pid: Option<u32>) -> String {
    pid.map_or("-".into(), |pid| pid.to_string())
}

/// A few packets a second are not none.
fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { text::count(per_second.round() as u64) }
}

/// Two digits after the point; a share that would be nothing then has four.
fn percent(share: f64) -> String {
    if share < 0.01 { format!("{share:.4} %") } else { format!("{share:.2} %") }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{measurement, runs};
    use super::*;

    #[test]
    fn rows_say_how_often_and_how_long() {
        let measurement = measurement(&[runs(2, "weir_ingress", 1000, 200_000), runs(3, "weir_sent", 0, 0)]);
        let rows: Vec<_> = measurement.programs.iter().map(row).collect();
        assert_eq!(rows[0], ["-", "weir_ingress", "2", "1000", "200", "0.02 %", "0.01 %"]);
        assert_eq!(rows[1], ["-", "weir_sent", "3", "-", "-", "-", "-"]);
        let rows: Vec<_> = measurement.probes.iter().map(share_row).collect();
        assert_eq!(rows, [["-", "flows", "0.02 %", "0.01 %", "100.00 %"], ["-", "sockets", "-", "-", "-"]]);
    }

    #[test]
    fn nothing_ran() {
        let lines = lines(&measurement(&[runs(1, "weir_ingress", 0, 0)]), 80);
        assert!(lines[0].starts_with("nothing to measure in 1.0 s"), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("No packet came by")), "{lines:?}");
    }

    /// `weir trace` counts no packets, and costs something.
    #[test]
    fn what_ran_for_no_packet_has_its_share() {
        let lines = lines(&measurement(&[runs(1, "weir_exec", 3, 20_000_000)]), 80);
        assert_eq!(lines[0], "2.00 % of one CPU in 1.0 s; no packet was counted");
    }

    /// Two agents on the same interface both run for the same packet: a sum would be of nothing.
    #[test]
    fn each_agent_has_a_line_of_its_own() {
        let after: Vec<_> = (1..=4).map(|id| runs(id, "weir_ingress", 10, 100 * u64::from(id))).collect();
        let mut measurement = measurement(&after);
        assert_eq!(summaries(&measurement).len(), 1);
        for (cost, pid) in measurement.programs.iter_mut().zip([Some(70), Some(70), Some(80), None]) {
            cost.pid = pid;
        }
        let lines = summaries(&measurement);
        let begins =
            ["agent 70: 15 ns per packet", "agent 80: 30 ns per packet", "agent unknown: 40 ns per packet"];
        assert_eq!(lines.len(), begins.len(), "{lines:?}");
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin) && line.ends_with("0 packets in 1.0 s"), "{line}");
        }
    }

    #[test]
    fn shares_keep_their_digits() {
        assert_eq!(percent(0.0012), "0.0012 %");
        assert_eq!(percent(0.123), "0.12 %");
        assert_eq!(percent(12.34), "12.34 %");
        assert_eq!(rate(0.4), "0.4");
    }
}
