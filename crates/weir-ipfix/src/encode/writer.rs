//! Files: one message after the other (RFC 5655).

use super::encoder::{Encoder, TooLarge};
use std::io::{self, Write};
use weir_record::{Field, FlowRecord};

/// A file of the whole host: of no observation domain in particular.
const DOMAIN: u32 = 0;

/// Writes records as a file.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    encoder: Encoder,
    left_out: u64,
}

impl<W: Write> Writer<W> {
    /// Begins it: with these fields, or with all where there are none. `time` is when that is, in seconds since the epoch.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, fields: &[&Field], time: u32) -> io::Result<Self> {
        let mut encoder = Encoder::new(DOMAIN, u16::MAX);
        if !fields.is_empty() {
            encoder = encoder.of(fields);
        }
        encoder.set_time(time);
        for message in encoder.types() {
            out.write_all(message)?;
        }
        Ok(Self { out, encoder, left_out: 0 })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, record: &FlowRecord) -> io::Result<()> {
        match self.encoder.add(record) {
            Ok(full) => full.iter().try_for_each(|message| self.out.write_all(message)),
            Err(TooLarge { .. }) => {
                self.left_out += 1;
                Ok(())
            }
        }
    }

    /// Records that were too large for a message.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Ends it, and hands back what it was written to.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(mut self) -> io::Result<W> {
        for message in self.encoder.end() {
            self.out.write_all(message)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
