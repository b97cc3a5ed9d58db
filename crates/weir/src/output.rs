//! What commands say that print once and end.

use anyhow::Result;
use clap::ValueEnum;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// For people, or for programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}

/// How a command ends that has printed. A reader that has seen enough is no mishap.
pub fn end(printed: io::Result<()>) -> Result<ExitCode> {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
