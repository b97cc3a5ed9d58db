//! `weir cost`: what the running agent costs per packet, and which of its probes how much.

mod screen;
mod shares;

use crate::options;
use crate::output::{self, Output};
use crate::stop::Stop;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use shares::Share;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use weir_kernel::feature::{self, NO_OP, NoOp};
use weir_kernel::stats::{self, Runs, Statistics};
use weir_probes::probe_of;

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
        Output::Table => screen::print(&measurement),
        Output::Json => print_json(&measurement),
    };
    output::end(printed)
}

/// All but the empty one, which nobody runs but this command.
fn is_of_an_agent(name: &str) -> bool {
    name.starts_with("weir_") && name != NO_OP
}

fn programs() -> Result<Vec<Runs>> {
    stats::programs(is_of_an_agent).map_err(|error| explain(error, "list the kernel's programs"))
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
    /// Null where it is none of this version's.
    probe: Option<&'static str>,
    id: u32,
    /// The agent's process; null where none is seen that holds the program: a killed agent's, or another container's.
    pid: Option<u32>,
    /// Of those for packets: socket buffers.
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
    /// What each probe of each agent took.
    probes: Vec<Share>,
    /// Programs that were loaded from the beginning to the end.
    programs: Vec<Cost>,
}

impl Measurement {
    /// The programs of each agent.
    fn agents(&self) -> impl Iterator<Item = &[Cost]> {
        self.programs.chunk_by(|one, next| one.pid == next.pid)
    }
}

fn measure(stop: &Stop, time: Duration) -> Result<Measurement> {
    let measuring = NoOp::load().and_then(|program| program.run_time()).ok().flatten();
    let (before, begin) = (programs()?, Instant::now());
    wait(stop, time);
    let (after, elapsed) = (programs()?, begin.elapsed());
    let cpus = stats::cpus();
    let programs = with_pids(difference(&before, &after, elapsed, cpus));
    Ok(Measurement {
        kind: "cost",
        seconds: elapsed.as_secs_f64(),
        cpus,
        measuring_ns: measuring.map(|time| time.as_nanos() as u64),
        probes: shares::of(&programs),
        programs,
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
            probe: probe_of(&end.name),
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

fn print_json(measurement: &Measurement) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(measurement)?)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading of a program: its number, its name, how often it ran and for how many nanoseconds.
    pub fn runs(id: u32, name: &str, count: u64, nanoseconds: u64) -> Runs {
        Runs { id, name: name.into(), count, nanoseconds }
    }

    /// Over a second on two CPUs, of programs that had done nothing before.
    pub fn measurement(after: &[Runs]) -> Measurement {
        let before: Vec<_> = after.iter().map(|end| runs(end.id, &end.name, 0, 0)).collect();
        let programs = difference(&before, after, Duration::from_secs(1), 2);
        let probes = shares::of(&programs);
        Measurement { kind: "cost", seconds: 1.0, cpus: 2, measuring_ns: Some(30), probes, programs }
    }

    #[test]
    fn what_came_or_went_is_left_out() {
        let before = [runs(1, "weir_ingress", 100, 10_000), runs(2, "weir_ingress", 0, 0)];
        let after = [runs(2, "weir_ingress", 2_000, 400_000), runs(3, "weir_ingress", 9, 9)];
        let costs = difference(&before, &after, Duration::from_secs(2), 4);
        assert_eq!(costs.len(), 1);
        let cost = &costs[0];
        assert_eq!((cost.id, cost.probe), (2, Some("flows")));
        assert_eq!((cost.runs, cost.ns_per_run, cost.runs_per_second), (2_000, Some(200.0), 1000.0));
        let shares = [cost.cpu_percent, cost.cpu_percent_of_all];
        assert!(shares.iter().zip([0.02, 0.005]).all(|(one, is)| (one - is).abs() < 1e-12), "{shares:?}");
    }

    #[test]
    fn the_trial_is_of_no_agent() {
        assert!(is_of_an_agent("weir_egress") && is_of_an_agent("weir_clock"));
        assert!(!is_of_an_agent(NO_OP) && !is_of_an_agent("cil_from_netdev"));
    }
}
