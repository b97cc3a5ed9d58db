//! `weir config`: check, show and describe the configuration.

use super::definition::Definition;
use super::{check, page, schema, show};
use crate::output;
use anyhow::Result;
use clap::{Subcommand, ValueHint};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `weir config` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Say that a file is fine, or all that is wrong with it
    Check {
        /// The file, whatever flags and environment say
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show what holds, and where each value comes from
    Show(show::Arguments),
    /// Print the JSON Schema of the file, for editors (draft 2020-12)
    Schema,
    /// Print the reference of all options, in Markdown
    Docs,
}

/// Runs one of them.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Check { file } => Ok(report(&file)),
        Command::Show(arguments) => show::run(&arguments),
        Command::Schema => print(format!("{:#}\n", schema::schema(&Definition::of_run())).as_bytes()),
        Command::Docs => print(page::page(&Definition::of_run()).as_bytes()),
    }
}

fn report(file: &Path) -> ExitCode {
    match check(file) {
        Ok(remarks) => {
            for remark in &remarks {
                eprintln!("weir: {}: {remark}", file.display());
            }
            println!("{}: {}", file.display(), if remarks.is_empty() { "fine" } else { "it works" });
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            for line in mistakes.lines() {
                eprintln!("weir: {line}");
            }
            ExitCode::from(1)
        }
    }
}

/// The text, as it is.
pub fn print(text: &[u8]) -> Result<ExitCode> {
    output::end(io::stdout().lock().write_all(text))
}
