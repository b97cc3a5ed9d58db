//! `weir reload`: has the running agent read its configuration again.

use crate::status::{asked, converse};
use anyhow::Result;
use clap::Args;
use serde::de::IgnoredAny;
use std::path::PathBuf;
use std::process::ExitCode;
use weir_agent::{Answer, Request};

/// Flags of `weir reload`.
#[derive(Args)]
pub struct Arguments {
    /// The agent's control socket; every agent of this host without this
    #[arg(long, value_name = "PATH")]
    socket: Vec<PathBuf>,
}

/// Asks one agent after the other; an error of one does not keep the next from it.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut failed = false;
    let answers = converse(&arguments.socket, Request::Reload)?;
    let several = answers.len() > 1;
    for (socket, line) in answers {
        let of = if several { format!("{}: ", socket.display()) } else { String::new() };
        match line.and_then(|line| asked::<IgnoredAny>(&socket, &line)) {
            Ok(Answer::Reloaded { text }) => println!("weir: {of}{text}"),
            Ok(Answer::Status(_) | Answer::Flows { .. }) => {}
            Ok(Answer::Error { error }) => {
                failed = true;
                eprintln!("weir: {of}{error}");
            }
            Err(error) => {
                failed = true;
                eprintln!("weir: {error}");
            }
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
