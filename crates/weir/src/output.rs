//! What commands say that print once and end.

use anyhow::Result;
use clap::ValueEnum;
use serde::{Serialize, Serializer};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// For people, or for programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}

/// What an object holds, in this order.
pub struct InOrder<V>(pub Vec<(&'static str, V)>);

impl<V: Serialize> Serialize for InOrder<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// An object as a line of JSON.
pub fn json_line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

/// A reader that has seen enough is one, whoever tells of it.
pub fn of_csv(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("cannot write CSV: {other:?}")),
    }
}

/// How a command ends that has printed. A reader that has seen enough is no mishap.
pub fn end(printed: io::Result<()>) -> Result<ExitCode> {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
