//! What is posted.

use crate::json::Fields;
use std::io;
use weir_record::FlowRecord;

/// A body that is written piece by piece, and what its answers mean.
pub trait Body: Send {
    /// Its media type.
    fn content_type(&self) -> &'static str;

    /// Appends what stands before the first record.
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    /// Appends a record.
    ///
    /// # Errors
    /// It cannot be written.
    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()>;

    /// Appends what stands behind the last one.
    fn end(&mut self, _out: &mut Vec<u8>) {}

    /// What the page says that came with an answer of 2xx.
    fn verdict(&self, _page: &[u8]) -> Verdict {
        Verdict::default()
    }

    /// What the page says that came with a refusal, for people.
    fn complaint(&self, _page: &[u8]) -> Option<String> {
        None
    }
}

/// What became of a batch that was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Records of it that were not, and never will be.
    pub rejected: u64,
    /// What is said of that, or of the rest, for people.
    pub remark: Option<String>,
}

/// A line of JSON for each record.
pub struct JsonLines(pub Fields);

impl Body for JsonLines {
    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()> {
        self.0.put(out, record)?;
        out.push(b'\n');
        Ok(())
    }
}
