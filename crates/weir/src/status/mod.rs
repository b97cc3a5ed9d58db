//! `weir status`: the running agent's state in one screen.

mod containers;
mod drops;
mod exporters;
mod facts;
mod kubernetes;
mod pushes;
mod screen;

use crate::output::Output;
use anyhow::{Context, Result, bail};
use clap::Args;
use screen::Totals;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use weir_agent::{Answer, PROTOCOL, Reply, Request, Unanswered, ask, sockets};

/// Flags of `weir status`.
#[derive(Args)]
pub struct Arguments {
    /// The agent's control socket; every agent of this host without this
    #[arg(long, value_name = "PATH")]
    socket: Vec<PathBuf>,

    /// table or json: one object a line for each agent
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// Shows every agent that answers; a word on each that does not.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut shown = 0;
    for (socket, line) in converse(&arguments.socket, Request::Status)? {
        let outcome = line.and_then(|line| show(&socket, &line, arguments.output, shown > 0));
        match outcome {
            Ok(()) => shown += 1,
            // A reader that has seen enough is no mishap.
            Err(error) if is_broken_pipe(&error) => return Ok(code),
            Err(error) => {
                eprintln!("weir: {error:#}");
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

fn show(socket: &Path, line: &str, output: Output, again: bool) -> Result<()> {
    let answer = asked::<Totals>(socket, line)?;
    let status = match answer {
        Answer::Status(status) => status,
        Answer::Error { error } => bail!("{}: {error}", socket.display()),
        Answer::Reloaded { .. } | Answer::Flows { .. } => {
            bail!("{}: not an answer to this question", socket.display())
        }
    };
    let mut out = anstream::stdout().lock();
    match output {
        // As the agent said it: what this version of weir does not know is there, too.
        Output::Json => writeln!(out, "{line}")?,
        Output::Table => {
            let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
            if again {
                writeln!(out)?;
            }
            for line in screen::lines(&status, width) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(out.flush()?)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// What the agents on `wanted` answer, or all agents there are; those that are no more are left out.
pub fn converse(wanted: &[PathBuf], request: Request) -> Result<Vec<(PathBuf, Result<String>)>> {
    if !wanted.is_empty() {
        let answers =
            wanted.iter().map(|socket| (socket.clone(), ask(socket, request).map_err(anyhow::Error::from)));
        return Ok(answers.collect());
    }
    let mut answers = Vec::new();
    for socket in sockets() {
        match ask(&socket, request) {
            Err(Unanswered::Nobody(_)) => {}
            answer => answers.push((socket, answer.map_err(anyhow::Error::from))),
        }
    }
    if answers.is_empty() {
        bail!("no agent is running. Start one: weir run");
    }
    Ok(answers)
}

/// The answer on its line.
pub fn asked<L: DeserializeOwned>(socket: &Path, line: &str) -> Result<Answer<L>> {
    let strange =
        || format!("{} answers what this weir does not understand: is it an agent?", socket.display());
    let reply: Reply<Answer<L>> = serde_json::from_str(line).with_context(strange)?;
    if reply.protocol != PROTOCOL {
        bail!(
            "{} speaks protocol {}, this weir {PROTOCOL}: use the agent's own weir",
            socket.display(),
            reply.protocol
        );
    }
    Ok(reply.answer)
}
