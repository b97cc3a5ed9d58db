//! `weir cost`: what the running agent costs per packet.

use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// Flags of `weir cost`.
#[derive(Args)]
pub struct Arguments {}

/// Measures.
pub fn run(_arguments: &Arguments) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
