//! Records on their way out: which of them, in which order, what of each, and as what. The same for whatever command.

mod columns;
pub mod csv;
mod format;
pub mod ipfix;
pub mod json;
mod ordered;
pub mod parquet;

pub use columns::{Column, is_kept, joined, named, raw, read_for};
pub use format::Format;
pub use ordered::ordered;

use std::io;
use weir_record::FlowRecord;

/// A record, and whether it goes on.
#[derive(Debug, Clone)]
pub struct Row {
    pub record: FlowRecord,
    pub is_open: bool,
}

/// Where records are shown.
pub trait Shows {
    /// Some more.
    fn show(&mut self, rows: &[Row]) -> io::Result<()>;

    /// That was all.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}
