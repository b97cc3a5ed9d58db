//! `weir`: what a Linux host's network is doing, and what it missed.
//!
//! Exit codes: 0 done, 1 the environment does not allow it, 2 the command line makes no sense.

mod check;
mod cost;
mod json;
mod options;
mod reload;
mod run;
mod status;
mod stop;
mod table;
mod text;
mod view;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
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
    Run(run::Arguments),
    /// Say what this kernel and these privileges allow
    Check(check::Arguments),
    /// Measure what the running agent costs per packet
    Cost(cost::Arguments),
    /// Show the state of the running agent
    Status(status::Arguments),
    /// Have the running agent read its configuration again
    Reload(reload::Arguments),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let outcome = match cli.command {
        Some(Command::Run(arguments)) => run::run(arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Cost(arguments)) => cost::run(&arguments),
        Some(Command::Status(arguments)) => status::run(&arguments),
        Some(Command::Reload(arguments)) => reload::run(&arguments),
        None => {
            use clap::CommandFactory;
            anstream::print!("{}", Cli::command().render_help().ansi());
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("weir: {}", one_line(&error));
        ExitCode::from(1)
    })
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
    let text = error.to_string();
    let mistake = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    eprintln!("weir: {mistake}. See `weir --help`");
    ExitCode::from(2)
}
