//! What a shell and `man` know of the command line, generated from it.

use crate::Cli;
use crate::config::print;
use anyhow::{Context, Result};
use clap::{Args, CommandFactory, ValueHint};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `weir completions`.
#[derive(Args)]
pub struct Completions {
    /// The shell that is to complete
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Flags of `weir man`.
#[derive(Args)]
pub struct Man {
    /// Where all pages go; to standard output, and only the first one, without this
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
}

/// Prints the script.
pub fn completions(arguments: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "weir", &mut script);
    print(&script)
}

/// Prints the page of `weir`, or writes those of all commands.
pub fn man(arguments: &Man) -> Result<ExitCode> {
    let Some(directory) = &arguments.directory else {
        let mut page = Vec::new();
        // Like the page that is written into a directory.
        clap_mangen::Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page)?;
        return print(&page);
    };
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .with_context(|| format!("cannot write man pages into {}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
