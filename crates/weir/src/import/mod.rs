//! `weir import`: what others have recorded, into a history of its own or beside what is there.

mod kept;
mod summary;

use crate::options;
use crate::run::say;
use anyhow::{Context, Result, bail};
use clap::Args;
use kept::Kept;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use weir_import::{Error, Report, Timeouts};

/// Flags of `weir import`.
#[derive(Args)]
pub struct Arguments {
    /// Captures (pcap, pcapng), files of nfcapd and of IPFIX; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The directory of the history that they go to; made if it is not there
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    /// Of captures: a flow without packets for this long has ended
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = options::duration)]
    idle_timeout: Duration,

    /// Of captures: a flow that goes on gets a new record after this long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = options::duration)]
    active_timeout: Duration,
}

/// Imports one after the other, and says what came of each.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let timeouts = Timeouts { idle: arguments.idle_timeout, active: arguments.active_timeout };
    let mut kept = Kept::open(&arguments.data_dir)?;
    let (mut reports, mut is_whole) = (Vec::new(), true);
    for path in &arguments.files {
        match import(path, timeouts, &mut kept) {
            Ok(report) => {
                summary::print(&shown(path), &report);
                is_whole &= report.broken.is_none();
                reports.push(report);
            }
            Err(error @ Error::Keep(_)) => bail!("{}: {error}", shown(path)),
            Err(error) => {
                say(&format!("{}: {error}", shown(path)));
                is_whole = false;
            }
        }
    }
    kept.finish().context("cannot keep what was imported")?;
    summary::print_sum(&reports, &arguments.data_dir);
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn import(path: &Path, timeouts: Timeouts, kept: &mut Kept) -> Result<Report, Error> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(Error::Read)?)
    };
    // Records say which file they are from, wherever it lay.
    let name = path.file_name().map_or_else(|| shown(path), |name| name.to_string_lossy().into_owned());
    let report = weir_import::read(BufReader::new(input), &name, timeouts, &mut |record| kept.add(record))?;
    kept.write().map_err(Error::Keep)?;
    Ok(report)
}

/// The name of a file, for people and for records.
fn shown(path: &Path) -> String {
    if path == Path::new("-") { "stdin".into() } else { path.display().to_string() }
}
