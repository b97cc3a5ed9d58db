//! `weir check`: what this kernel and these privileges allow.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Flags of `weir check`.
#[derive(Args)]
pub struct Arguments {}

/// Checks.
pub fn run(_arguments: &Arguments) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
