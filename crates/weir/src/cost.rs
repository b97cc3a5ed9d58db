//! `weir cost`: what the running agent costs per packet.

use crate::options;
use crate::output::{self, Output};
use crate::stop::Stop;
use crate::table::{self, Align, Column, QUIET};
use crate::text;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use weir_kernel::feature::{self, NO_OP, NoOp};
use weir_kernel::stats::{self, Runs, Statistics};
use weir_probes::dns;
use weir_probes::flows::PROGRAMS;

/// Flags of `weir cost`.
#[derive(Args)]
pub struct Arguments {
    /// How long to measure
    #[arg(long = "for", value_name = "TIME", default_value = "5s", value_parser = options::duration, help_heading = "Timing")]
    time: Duration,

    /// table or json: one object
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    output: Output,
}

/// How often the wait looks whether it is over.
const GLANCE: Duration = Duration::from_millis(50);

const COLUMNS: [Column; 7] = [
    ("AGENT", Align::Left),
    ("PROGRAM", Align::Left),
    ("ID", Align::Right),
    ("RUNS/S", Align::Right),
    ("NS/RUN", Align::Right),
    ("ONE CPU", Align::Right),
    ("ALL CPUS", Align::Right),
];

/// Measures the programs of every agent on this host.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Counts the time from here, and SIGINT from here on.
    let stop = Stop::new(Some(arguments.time))?;
    let before = programs()?;
    if before.is_empty() {
        bail!("no agent is running: no weir program is loaded. Start one: weir run");
    }
    let statistics = enable()?;
    let measurement = measure(&stop, arguments.time)?;
    drop(statistics);
    if measurement.programs.is_empty() {
        bail!("the agent ended while it was being measured. Start one: weir run");
    }
    let printed = match arguments.output {
        Output::Table => print_table(&measurement),
        Output::Json => print_json(&measurement),
    };
    output::end(printed)
}

/// Ours, as far as they are attached: the clock and the iterator are run by hand, and the empty one is never.
fn is_attached(name: &str) -> bool {
    name.starts_with("weir_") && !["weir_clock", "weir_existing", NO_OP].contains(&name)
}

/// Those that run once for each packet that is counted.
fn counts_packets(cost: &&Cost) -> bool {
    PROGRAMS.contains(&cost.name.as_str())
}

/// Those that run for packets; the others run for system calls.
fn is_for_packets(cost: &&Cost) -> bool {
    counts_packets(cost) || dns::PROGRAMS.contains(&cost.name.as_str())
}

fn programs() -> Result<Vec<Runs>> {
    stats::programs(is_attached).map_err(|error| explain(error, "list the kernel's programs"))
}

/// None where the host keeps statistics all the time and this kernel has no other way.
fn enable() -> Result<Option<Statistics>> {
    match Statistics::enable() {
        Ok(statistics) => Ok(Some(statistics)),
        Err(_) if stats::are_on() => Ok(None),
        Err(error) if feature::is_permission(&error) => Err(explain(error, "have programs timed")),
        Err(error) => Err(error)
            .context("this kernel times programs on demand only since Linux 5.8: sysctl kernel.bpf_stats_enabled=1, and again"),
    }
}

fn explain(error: weir_kernel::Error, what: &str) -> anyhow::Error {
    if feature::is_permission(&error) {
        anyhow::anyhow!("cannot {what}: CAP_SYS_ADMIN is missing. Run as root")
    } else {
        error.into()
    }
}

/// One program, over the time of the measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Cost {
    name: String,
    id: u32,
    /// The agent's process; null where none is seen that holds the program: a killed agent's, or another container's.
    pid: Option<u32>,
    /// Packets as the program sees them: socket buffers.
    runs: u64,
    run_time_ns: u64,
    runs_per_second: f64,
    /// Null where nothing ran.
    ns_per_run: Option<f64>,
    /// Of one CPU.
    cpu_percent: f64,
    /// Of all CPUs that are online.
    cpu_percent_of_all: f64,
}

/// The object of `-o json`.
#[derive(Debug, Serialize)]
struct Measurement {
    #[serde(rename = "type")]
    kind: &'static str,
    /// How long was measured.
    seconds: f64,
    /// CPUs that are online.
    cpus: u32,
    /// What an empty program is said to take: the measuring itself, once in each `ns_per_run`.
    measuring_ns: Option<u64>,
    /// Programs that were loaded from the beginning to the end.
    programs: Vec<Cost>,
}

fn measure(stop: &Stop, time: Duration) -> Result<Measurement> {
    let measuring = NoOp::load().and_then(|program| program.run_time()).ok().flatten();
    let (before, begin) = (programs()?, Instant::now());
    wait(stop, time);
    let (after, elapsed) = (programs()?, begin.elapsed());
    let cpus = stats::cpus();
    Ok(Measurement {
        kind: "cost",
        seconds: elapsed.as_secs_f64(),
        cpus,
        measuring_ns: measuring.map(|time| time.as_nanos() as u64),
        programs: with_pids(difference(&before, &after, elapsed, cpus)),
    })
}

/// Says whose each program is, and puts together what one agent runs.
fn with_pids(mut programs: Vec<Cost>) -> Vec<Cost> {
    let holders = stats::holders();
    programs.iter_mut().for_each(|cost| cost.pid = holders.get(&cost.id).copied());
    // In the order in which the agents were started, as far as the programs' numbers tell.
    let first = |pid| programs.iter().filter(|cost| cost.pid == pid).map(|cost| cost.id).min();
    let ranks: Vec<_> = programs.iter().map(|cost| (first(cost.pid), cost.id)).collect();
    let mut ranked: Vec<_> = ranks.into_iter().zip(programs).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, cost)| cost).collect()
}

/// What each program did between two readings; those that came or went meanwhile are left out.
fn difference(before: &[Runs], after: &[Runs], elapsed: Duration, cpus: u32) -> Vec<Cost> {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let both = after.iter().filter_map(|end| Some((before.iter().find(|begin| begin.id == end.id)?, end)));
    both.map(|(begin, end)| {
        let runs = end.count.saturating_sub(begin.count);
        let run_time_ns = end.nanoseconds.saturating_sub(begin.nanoseconds);
        let cpu_percent = run_time_ns as f64 / 1e9 / seconds * 100.0;
        Cost {
            name: end.name.clone(),
            id: end.id,
            pid: None,
            runs,
            run_time_ns,
            runs_per_second: runs as f64 / seconds,
            ns_per_run: (runs > 0).then(|| run_time_ns as f64 / runs as f64),
            cpu_percent,
            cpu_percent_of_all: cpu_percent / f64::from(cpus),
        }
    })
    .collect()
}

/// Until it is time, saying so where somebody looks on.
fn wait(stop: &Stop, time: Duration) {
    let begin = Instant::now();
    let on_terminal = io::stderr().is_terminal();
    let mut said = String::new();
    while !stop.is_due() {
        let left = time.saturating_sub(begin.elapsed());
        let say = format!("weir: measuring, {} s left (Ctrl-C ends it early)", left.as_secs() + 1);
        if on_terminal && say != said {
            eprint!("\r{say}\x1b[K");
            said = say;
        }
        std::thread::sleep(GLANCE.min(left));
    }
    if on_terminal {
        eprint!("\r\x1b[K");
    }
}

fn print_table(measurement: &Measurement) -> io::Result<()> {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    let mut out = anstream::stdout().lock();
    for line in lines(measurement, width) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn lines(measurement: &Measurement, width: usize) -> Vec<String> {
    let programs = &measurement.programs;
    let mut lines = summaries(measurement);
    lines.push(String::new());
    let rows: Vec<_> = programs.iter().map(row).collect();
    lines.extend(table::render(&COLUMNS, &rows, width));
    lines.push(String::new());
    let remarks = match measurement.measuring_ns {
        _ if programs.iter().all(|cost| cost.runs == 0) => {
            vec!["No packet came by in this time.".to_string()]
        }
        Some(own) => vec![
            "One run is one socket buffer: a packet, or the segments that travel as one.".to_string(),
            format!("The measuring is in these figures: an empty program takes {own} ns by it."),
        ],
        None => vec!["The measuring itself is in these figures.".to_string()],
    };
    lines.extend(remarks.iter().map(|remark| format!("{QUIET}{remark}{QUIET:#}")));
    lines
}

/// What its user came for: a line for each agent, since one's packets may be another's, or not.
fn summaries(measurement: &Measurement) -> Vec<String> {
    let agents: Vec<_> = measurement.programs.chunk_by(|one, next| one.pid == next.pid).collect();
    if agents.len() <= 1 {
        return vec![summary(&measurement.programs, measurement.seconds)];
    }
    let line = |programs: &&[Cost]| {
        let pid = programs.iter().find_map(|cost| cost.pid);
        let whose = pid.map_or("agent unknown".into(), |pid| format!("agent {pid}"));
        format!("{whose}: {}", summary(programs, measurement.seconds))
    };
    agents.iter().map(line).collect()
}

fn summary(programs: &[Cost], seconds: f64) -> String {
    let runs: u64 = programs.iter().filter(counts_packets).map(|cost| cost.runs).sum();
    let nanoseconds: u64 = programs.iter().filter(is_for_packets).map(|cost| cost.run_time_ns).sum();
    let over = text::time(Duration::from_secs_f64(seconds));
    if runs == 0 {
        return format!("nothing to measure in {over}: weir's programs did not run");
    }
    let share: f64 = programs.iter().map(|cost| cost.cpu_percent).sum();
    format!(
        "{:.0} ns per packet and {} of one CPU, over {over} and {} packets",
        nanoseconds as f64 / runs as f64,
        percent(share),
        text::grouped(runs),
    )
}

fn row(cost: &Cost) -> Vec<String> {
    let or_dash = |text: String| if cost.runs > 0 { text } else { "-".into() };
    vec![
        cost.pid.map_or("-".into(), |pid| pid.to_string()),
        cost.name.clone(),
        cost.id.to_string(),
        or_dash(rate(cost.runs_per_second)),
        cost.ns_per_run.map_or("-".into(), |time| format!("{time:.0}")),
        or_dash(percent(cost.cpu_percent)),
        or_dash(percent(cost.cpu_percent_of_all)),
    ]
}

/// A few packets a second are not none.
fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { text::count(per_second.round() as u64) }
}

/// Two digits after the point; a share that would be nothing then has four.
fn percent(share: f64) -> String {
    if share < 0.01 { format!("{share:.4} %") } else { format!("{share:.2} %") }
}

fn print_json(measurement: &Measurement) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(measurement)?)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(id: u32, count: u64, nanoseconds: u64) -> Runs {
        Runs { id, name: "weir_ingress".into(), count, nanoseconds }
    }

    #[test]
    fn what_came_or_went_is_left_out() {
        let before = [runs(1, 100, 10_000), runs(2, 0, 0)];
        let after = [runs(2, 2_000, 400_000), runs(3, 9, 9)];
        let costs = difference(&before, &after, Duration::from_secs(2), 4);
        assert_eq!(costs.len(), 1);
        let cost = &costs[0];
        assert_eq!((cost.id, cost.runs, cost.ns_per_run), (2, 2_000, Some(200.0)));
        assert_eq!(row(cost), ["-", "weir_ingress", "2", "1000", "200", "0.02 %", "0.0050 %"]);
    }

    #[test]
    fn nothing_ran() {
        let costs = difference(&[runs(1, 5, 50)], &[runs(1, 5, 50)], Duration::from_secs(1), 2);
        assert_eq!(row(&costs[0]), ["-", "weir_ingress", "1", "-", "-", "-", "-"]);
        let measurement =
            Measurement { kind: "cost", seconds: 1.0, cpus: 2, measuring_ns: Some(30), programs: costs };
        let lines = lines(&measurement, 80);
        assert!(lines[0].starts_with("nothing to measure in 1.0 s"), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("No packet came by")), "{lines:?}");
    }

    /// Two agents on the same interface both run for the same packet: a sum would be of nothing.
    #[test]
    fn each_agent_has_a_line_of_its_own() {
        let before: Vec<_> = (1..=4).map(|id| runs(id, 0, 0)).collect();
        let after: Vec<_> = (1..=4).map(|id| runs(id, 10, 100 * u64::from(id))).collect();
        let mut programs = difference(&before, &after, Duration::from_secs(1), 2);
        let measured = |programs: &[Cost]| {
            let programs = programs.to_vec();
            summaries(&Measurement { kind: "cost", seconds: 1.0, cpus: 2, measuring_ns: None, programs })
        };
        assert_eq!(measured(&programs).len(), 1);
        for (cost, pid) in programs.iter_mut().zip([Some(70), Some(70), Some(80), None]) {
            cost.pid = pid;
        }
        let lines = measured(&programs);
        let begins =
            ["agent 70: 15 ns per packet", "agent 80: 30 ns per packet", "agent unknown: 40 ns per packet"];
        assert_eq!(lines.len(), begins.len(), "{lines:?}");
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin) && line.ends_with("0 packets"), "{line}");
        }
    }

    #[test]
    fn the_clock_and_the_trial_are_not_attached() {
        assert!(is_attached("weir_egress"));
        assert!(!is_attached("weir_clock") && !is_attached(NO_OP) && !is_attached("cil_from_netdev"));
    }

    #[test]
    fn shares_keep_their_digits() {
        assert_eq!(percent(0.0012), "0.0012 %");
        assert_eq!(percent(0.123), "0.12 %");
        assert_eq!(percent(12.34), "12.34 %");
        assert_eq!(rate(0.4), "0.4");
    }
}
