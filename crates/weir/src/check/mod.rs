//! `weir check`: what this kernel and these privileges allow.

mod features;
mod findings;
mod judge;

use crate::output::{self, Output};
use crate::table::{self, ALARM, Align, Column, FINE, QUIET};
use anyhow::Result;
use clap::Args;
use features::{Feature, Status, Verdict};
use findings::Findings;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Flags of `weir check`.
#[derive(Args)]
pub struct Arguments {
    /// table or json: one object
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    output: Output,

    /// Also say how the kernel refused what it refused, with the end of the verifier's log
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,
}

const COLUMNS: [Column; 4] = [
    ("STATUS", Align::Left),
    ("FEATURE", Align::Left),
    ("SINCE", Align::Right),
    ("INSTEAD, OR WHY NOT", Align::Left),
];

/// Tries everything, says what came of it, and leaves nothing behind. 0 where `weir run` can work.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let findings = gather();
    let features = judge::features(&findings);
    let verdict = features::verdict(&features);
    let printed = match arguments.output {
        Output::Table => print_table(&features, &verdict),
        Output::Json => print_json(&findings, &features, &verdict),
    };
    output::end(printed)?;
    if arguments.verbose {
        for refusal in findings.refusals() {
            eprintln!("weir: {refusal}");
        }
    }
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The verifier of an old kernel may take its time, and does not say how long.
fn gather() -> Findings {
    let on_terminal = io::stderr().is_terminal();
    if on_terminal {
        eprint!("weir: having the kernel verify the programs, a second as a rule …");
    }
    let findings = Findings::gather();
    if on_terminal {
        eprint!("\r\x1b[K");
    }
    findings
}

fn print_table(features: &[Feature], verdict: &Verdict) -> io::Result<()> {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    let mut out = anstream::stdout().lock();
    for line in lines(features, verdict, width) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn lines(features: &[Feature], verdict: &Verdict, width: usize) -> Vec<String> {
    let style = if verdict.is_ok() { FINE } else { ALARM };
    let mut lines: Vec<_> =
        fold(&verdict.text(), width).iter().map(|line| format!("{style}{line}{style:#}")).collect();
    let rows: Vec<_> = features.iter().map(row).collect();
    let mut table = table::render(&COLUMNS, &rows, width);
    for (line, feature) in table.iter_mut().skip(1).zip(features) {
        colour(line, feature);
    }
    lines.append(&mut table);
    // What the verdict has said already is not said again.
    let said = verdict.remedy();
    let to_do = features.iter().filter(|feature| feature.status == Status::No);
    let to_do: Vec<_> = to_do.filter(|f| f.remedy.is_some() && f.remedy.as_deref() != said).collect();
    if !to_do.is_empty() {
        lines.push(String::new());
    }
    for feature in to_do {
        let remedy = feature.remedy.as_deref().unwrap_or_default();
        lines.extend(fold(&format!("{}: {remedy}", feature.name), width));
    }
    lines
}

/// The status stands first, so that its width needs no regard for colours.
fn row(feature: &Feature) -> Vec<String> {
    vec![
        feature.status.as_str().into(),
        feature.name.into(),
        feature.minimum_kernel.unwrap_or("-").into(),
        feature.reason.as_deref().or(feature.instead).unwrap_or("-").into(),
    ]
}

fn colour(line: &mut String, feature: &Feature) {
    let style = match feature.status {
        Status::Yes => FINE,
        Status::No if feature.is_required => ALARM,
        Status::No | Status::NotNeeded | Status::NotTried => QUIET,
    };
    let word = feature.status.as_str();
    if let Some(rest) = line.strip_prefix(word) {
        *line = format!("{style}{word}{style:#}{rest}");
    }
}

/// The object of `-o json`.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    ok: bool,
    kernel: &'a str,
    reason: Option<&'a str>,
    remedy: Option<&'a str>,
    features: &'a [Feature],
}

fn print_json(findings: &Findings, features: &[Feature], verdict: &Verdict) -> io::Result<()> {
    let report = Report {
        kind: "check",
        ok: verdict.is_ok(),
        kernel: &findings.release,
        reason: verdict.reason(),
        remedy: verdict.remedy(),
        features,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&report)?)?;
    out.flush()
}

/// `text` in lines of at most `width`, broken between words. A command to copy (`… or: COMMAND`)
/// is not broken: rather than that, it gets a line to itself.
fn fold(text: &str, width: usize) -> Vec<String> {
    let (prose, command) = match text.rsplit_once(" or: ") {
        Some((prose, command)) => (format!("{prose} or:"), Some(command)),
        None => (text.to_string(), None),
    };
    let mut lines = vec![String::new()];
    for word in prose.split(' ').chain(command) {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a line: without the colours.
    fn visible(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }

    fn table(findings: &Findings) -> Vec<String> {
        let features = judge::features(findings);
        let verdict = features::verdict(&features);
        lines(&features, &verdict, 80).iter().map(|line| visible(line)).collect()
    }

    #[test]
    fn the_table_fits_whatever_was_found() {
        let refused = |is_permission| findings::Refusal { is_permission, text: "refused".into() };
        for missing in [vec![], vec!["CAP_NET_ADMIN"], vec!["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]] {
            for is_permission in [true, false] {
                let refusal = || Err(refused(is_permission));
                let lines = table(&Findings {
                    release: "5.4.0-187-generic".into(),
                    missing: missing.clone(),
                    type_information: false,
                    mmapable_array: refusal(),
                    ring_buffer: refusal(),
                    lru_hash: refusal(),
                    membarrier: refusal(),
                    grace_period: refusal(),
                    probe: refusal(),
                    programs: findings::PROGRAMS.map(|_| refusal()),
                    run_by_hand: refusal(),
                    compiled: Ok(false),
                    tcx: refusal(),
                    clsact: Some(false),
                    socket_tracepoints: refusal(),
                    socket_functions: Some(refusal()),
                    processes: refusal(),
                    dns: refusal(),
                    drops: refusal(),
                    tcp: refusal(),
                    statistics: refusal(),
                    bpffs: refusal(),
                    ..Findings::perfect()
                });
                assert!(lines[0].starts_with("weir run cannot work here: "), "{lines:#?}");
                for line in lines {
                    assert!(line.chars().count() <= 80 && !line.contains('…'), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_kernel_that_has_everything() {
        let lines = table(&Findings::perfect());
        assert_eq!(lines[0], "weir run works here");
        assert!(lines.len() <= 26 && lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    }

    #[test]
    fn folding_keeps_commands_whole() {
        assert_eq!(
            fold("run as root, or: setcap cap_bpf+ep weir", 25),
            ["run as root, or:", "setcap cap_bpf+ep weir"]
        );
        assert_eq!(fold("run as root, or: true", 80), ["run as root, or: true"]);
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
    }
}
