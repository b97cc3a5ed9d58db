//! `weir why`: what limits a connection now, or why it fails.

mod connection;
mod finding;
mod judge;
mod screen;
mod target;
mod words;

use crate::options;
use crate::output::{self, Output};
use crate::run::{say, settings_with};
use anyhow::Result;
use clap::Args;
use finding::{Finding, Subject};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use target::Target;
use weir_agent::Watched;
use weir_record::FIELDS;

/// Flags of `weir why`.
#[derive(Args)]
pub struct Arguments {
    /// Connections with this end (10.0.0.1:80, :80), of this process (4711), or that fit a filter; see docs/filter.md
    #[arg(value_name = "ADDRESS:PORT|PID|FILTER")]
    target: Target,

    /// Look into every network namespace of the host: both ends of more connections are known then
    #[arg(long, conflicts_with = "netns")]
    all_netns: bool,

    /// Look into this network namespace instead of the own one: a name in /run/netns, or the id of a process in it
    #[arg(long, value_name = "NAME|PID")]
    netns: Vec<String>,

    /// How long to watch
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = options::duration)]
    duration: Duration,

    /// table, or json: one object a line
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// Looks twice, and prints.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut settings = settings_with(&[])?;
    settings.namespaces = options::namespaces(arguments.all_netns, arguments.netns.clone());
    let watched = Watched::take(&settings, || std::thread::sleep(arguments.duration))?;
    watched.remarks.iter().for_each(|remark| say(remark));
    let found = finding::all(&watched, &arguments.target, arguments.duration);
    output::end(match arguments.output {
        Output::Table => screen::print(&found, arguments.duration),
        Output::Json => print_json(&found),
    })
}

fn print_json(found: &[Finding]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for finding in found {
        output::json_line(&mut out, &line(finding))?;
    }
    out.flush()
}

fn line(finding: &Finding) -> Map<String, Value> {
    let mut line = Map::new();
    let mut say = |name: &str, value: Value| drop(line.insert(name.into(), value));
    let (best, _) = &finding.limits[0];
    say("type", "why".into());
    say("verdict", best.limiter.as_str().into());
    say("confidence", rounded(best.confidence));
    let (subject, count) = match finding.subject {
        Subject::Connection => ("connection", None),
        Subject::Attempts(count) => ("attempts", Some(count)),
        Subject::Port => ("port", None),
    };
    say("subject", subject.into());
    say("attempts", count.into());
    say("bytes_per_second", finding.bytes_per_second.into());
    let limits = finding.limits.iter().map(|(limit, evidence)| {
        json!({"limit": limit.limiter.as_str(), "confidence": rounded(limit.confidence), "evidence": evidence})
    });
    say("limits", limits.collect());
    let of_an_end = |name: &str| name.starts_with("source_") || name.starts_with("destination_");
    for field in FIELDS.iter().filter(|field| field.name == "netns" || of_an_end(field.name)) {
        let is_nobody = finding.subject == Subject::Port && field.name.starts_with("source_");
        let value =
            (!is_nobody).then(|| serde_json::to_value((field.read)(&finding.flow)).unwrap_or_default());
        say(field.name, value.unwrap_or_default());
    }
    line
}

fn rounded(confidence: f64) -> Value {
    json!((confidence * 1000.0).round() / 1000.0)
}
