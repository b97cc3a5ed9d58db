//! One JSON object a line, on standard output.

use crate::output;
use serde::Serialize;
use std::io::{self, BufWriter, Stdout, Write};
use weir_agent::{Closing, Sink};
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

impl Sink for JsonLines {
    fn name(&self) -> &'static str {
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
        self.out.flush()
    }
}
