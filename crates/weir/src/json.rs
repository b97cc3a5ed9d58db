//! One JSON object a line, on standard output.

use crate::output;
use serde::Serialize;
use std::io::{self, BufWriter, Stdout, Write};
use weir_agent::{Closing, Sink, SinkState};
use weir_record::{FlowRecord, Statement};

/// Writes records as they end, and the ledger at exit.
pub struct JsonLines {
    out: BufWriter<Stdout>,
}

impl JsonLines {
    /// On standard output.
    pub fn new() -> Self {
        Self { out: BufWriter::with_capacity(64 * 1024, io::stdout()) }
    }

    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        output::json_line(&mut self.out, object)
    }
}

/// What became of the records at another sink.
#[derive(Serialize)]
struct Beside<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    sink: &'a SinkState,
}

impl Sink for JsonLines {
    fn name(&self) -> &str {
        "json"
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        for record in records {
            self.line(record)?;
        }
        self.out.flush()
    }

    fn finish(&mut self, closing: &Closing) -> io::Result<()> {
        for account in &closing.accounts {
            self.line(&Statement(account))?;
        }
        for probe in &closing.probes {
            self.line(probe)?;
        }
        for sink in &closing.sinks {
            self.line(&Beside { kind: "sink", sink })?;
        }
        self.out.flush()
    }
}
