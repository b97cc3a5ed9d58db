//! `weir`: what a Linux host's network is doing, and what it missed.
//!
//! Exit codes: 0 done, 1 the environment does not allow it, 2 the command line or the configuration makes no sense,
//! 3 `weir diff --fail-on` has found something new.

mod api;
mod check;
mod columns;
mod config;
mod cost;
mod demo;
mod diff;
mod export;
mod flows;
mod history;
mod import;
mod json;
mod mask;
mod metrics;
mod options;
mod output;
mod records;
mod reload;
mod run;
mod shell;
mod snapshot;
#[cfg(feature = "sql")]
mod sql;
mod status;
mod stop;
#[cfg(feature = "study")]
mod study;
mod table;
mod text;
mod top;
mod trace;
mod view;
mod why;

use crate::mask::masked;
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Shows what this host's network is doing, with eBPF, and never lies about what it missed.
#[derive(Parser)]
#[command(
    name = "weir",
    version,
    after_help = "Start with `weir run`: live on a terminal, JSON lines in a pipe. `weir COMMAND --help` lists its flags."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Count every packet and show the flows
    Run(Box<run::Arguments>),
    /// Show who uses the network now: processes, containers or destinations
    Top(top::Arguments),
    /// Print flows, those that were kept and those that go on, or what they add up to
    Flows(Box<flows::Arguments>),
    /// Compare two periods: who is new, who is gone, and what has changed
    Diff(Box<diff::Arguments>),
    /// Write flows that were kept into a file: Parquet, CSV, JSON or IPFIX
    Export(Box<export::Arguments>),
    /// Bring captures, files of nfcapd and of IPFIX into a history
    Import(import::Arguments),
    /// Ask what was kept in SQL
    #[cfg(feature = "sql")]
    Sql(sql::Arguments),
    /// Print the sockets there are now, or the processes that have them
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Print what happens as it happens: connections, ports, programs, retransmissions
    Trace(trace::Arguments),
    /// Say what limits a connection now, or why it fails
    Why(why::Arguments),
    /// Say what this kernel and these privileges allow
    Check(check::Arguments),
    /// Measure what the running agent costs per packet
    Cost(cost::Arguments),
    /// Show the state of the running agent
    Status(status::Arguments),
    /// Have the running agent read its configuration again
    Reload(reload::Arguments),
    /// Measure which data structure should watch this host's network, and write a report
    #[cfg(feature = "study")]
    Study(Box<study::Arguments>),
    /// Show what weir sees of a small network with real traffic, built on the spot and gone afterwards
    Demo(demo::Arguments),
    /// Check, show and describe the configuration: flags, environment, file
    #[command(subcommand)]
    Config(config::Command),
    /// Print the completions of a shell
    Completions(shell::Completions),
    /// Print the man page, or write one for every command
    Man(shell::Man),
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == demo::actor::NAME) {
        return end(demo::actor::run(std::env::args_os().skip(1)));
    }
    #[cfg(feature = "sql")]
    if std::env::args_os().nth(1).is_some_and(|word| word == weir_sql::NAME) {
        return end(sql::serve());
    }
    let parsed =
        Cli::command().try_get_matches().and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let outcome = match cli.command {
        Some(Command::Run(_)) => run_configured(matches),
        Some(Command::Top(arguments)) => top::run(&arguments),
        Some(Command::Flows(arguments)) => flows::run(&arguments),
        Some(Command::Diff(arguments)) => diff::run(&arguments),
        Some(Command::Export(arguments)) => export::run(&arguments),
        Some(Command::Import(arguments)) => import::run(&arguments),
        #[cfg(feature = "sql")]
        Some(Command::Sql(arguments)) => sql::run(&arguments),
        Some(Command::Snapshot(command)) => snapshot::run(&command),
        Some(Command::Trace(arguments)) => trace::run(&arguments),
        Some(Command::Why(arguments)) => why::run(&arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Cost(arguments)) => cost::run(&arguments),
        Some(Command::Status(arguments)) => status::run(&arguments),
        Some(Command::Reload(arguments)) => reload::run(&arguments),
        #[cfg(feature = "study")]
        Some(Command::Study(arguments)) => study::run(*arguments),
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        Some(Command::Config(command)) => config::run(command),
        Some(Command::Completions(arguments)) => shell::completions(&arguments),
        Some(Command::Man(arguments)) => shell::man(&arguments),
        None => {
            anstream::print!("{}", Cli::command().render_help().ansi());
            Ok(ExitCode::SUCCESS)
        }
    };
    end(outcome)
}

fn end(outcome: Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("weir: {}", one_line(&error));
        ExitCode::from(1)
    })
}

/// The flags are right; what the environment and the file say is still to be seen.
fn run_configured(mut matches: ArgMatches) -> Result<ExitCode> {
    let flags = matches.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default();
    let mut sources = config::Sources::new(flags);
    match sources.load() {
        Ok(configuration) => run::run(sources, configuration),
        Err(mistakes) => {
            eprintln!("weir: {mistakes}");
            Ok(ExitCode::from(2))
        }
    }
}

/// The error with its causes, as far as it does not name them itself.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Help goes out as it is; a mistake becomes one line.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // `weir config` by itself: the help is the answer, but nothing was done.
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.to_string();
    let mut mistake = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    if mistake.ends_with(':') {
        // What is missing, a line each.
        let missing: Vec<_> =
            text.lines().skip(1).take_while(|line| !line.is_empty()).map(str::trim).collect();
        mistake = format!("{mistake} {}", missing.join(", "));
    }
    // What clap says below: the values that there are, the name that was meant.
    let hints: String = text
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("tip: ").map(|tip| format!("; {tip}")).or_else(|| values(line)))
        .collect();
    let mistake = masked(&mistake);
    eprintln!("weir: {mistake}{hints}. See `weir {}--help`", command_given());
    ExitCode::from(2)
}

fn values(line: &str) -> Option<String> {
    line.starts_with("[possible values: ").then(|| format!(" {line}"))
}

/// The command that was given, if it is one, and a space.
fn command_given() -> String {
    let word = std::env::args().nth(1).filter(|word| Cli::command().find_subcommand(word).is_some());
    word.map_or_else(String::new, |word| format!("{word} "))
}
