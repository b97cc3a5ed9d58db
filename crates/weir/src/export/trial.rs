//! `weir export test`: one record to an exporter, and what came back.

use crate::config::{Definition, Sources};
use crate::run::say;
use anyhow::Result;
use clap::{Args, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use weir_agent::unix_now;
use weir_export::Target;

/// Flags of `weir export test`.
#[derive(Args)]
pub struct Arguments {
    /// Which: its name in the configuration, or a URL as for `weir run --export`
    #[arg(value_name = "NAME|URL")]
    which: String,

    /// The agent's configuration file; /etc/weir/weir.yaml where it exists without this
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Sends it.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let target = match target(arguments) {
        Ok(target) => target,
        Err(mistake) => {
            say(&mistake);
            return Ok(ExitCode::from(2));
        }
    };
    match target.test(unix_now()) {
        Ok(answer) => {
            say(&format!(
                "{}: one record of no packets, from 192.0.2.1 to 198.51.100.1, was sent; {answer}",
                target.name
            ));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&weir_export::about(&target.name, &error.to_string()));
            Ok(ExitCode::from(1))
        }
    }
}

/// By its name among those that an agent would export to, else as a URL.
fn target(arguments: &Arguments) -> Result<Target, String> {
    let (which, config) = (&arguments.which, arguments.config.as_ref());
    let flags = config.map(|path| {
        let mut flag = OsString::from("--config=");
        flag.push(path);
        flag
    });
    let flags = Definition::of_run().parse(flags).map_err(|error| error.to_string())?;
    let configured = Sources::new(flags).load().map_err(|mistakes| mistakes.to_string())?.arguments.export;
    if let Some(target) = configured.iter().find(|target| target.name == *which) {
        return Ok(target.clone());
    }
    if which.contains(':') {
        return which.parse();
    }
    let names: Vec<_> = configured.iter().map(|target| target.name.as_str()).collect();
    Err(match names.len() {
        0 => format!("there is no exporter {which}: the configuration has none, and it is no URL"),
        _ => format!("there is no exporter {which}. There are: {}", names.join(", ")),
    })
}
