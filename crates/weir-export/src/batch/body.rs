//! What is posted.

use crate::json::Fields;
use std::io;
use std::net::IpAddr;
use weir_record::FlowRecord;

/// What is sent, and what answers to it mean.
#[derive(Clone, Copy)]
pub struct Form {
    /// Its media type.
    pub content_type: &'static str,
    /// What the page says that came with an answer of 2xx.
    pub verdict: fn(&[u8]) -> Verdict,
    /// What the page says that came with a refusal, for people.
    pub complaint: fn(&[u8]) -> Option<String>,
}

impl Form {
    /// Of this media type, where pages say nothing that is understood.
    pub const fn of(content_type: &'static str) -> Self {
        Self { content_type, verdict: |_| Verdict { rejected: 0, remark: None }, complaint: |_| None }
    }
}

/// A body that is written record by record.
pub trait Body: Send {
    /// What it is.
    fn form(&self) -> Form;

    /// Hears which address the agent has, as its peer sees it.
    fn comes_from(&mut self, _agent: Option<IpAddr>) {}

    /// Why a record has no place in it, if it has none.
    fn refusal(&self, _record: &FlowRecord) -> Option<String> {
        None
    }

    /// Appends what stands before the first record.
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    /// Appends a record.
    ///
    /// # Errors
    /// It cannot be written.
    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()>;

    /// Appends what stands behind the last one.
    fn end(&mut self, _out: &mut Vec<u8>) {}
}

/// What became of a batch that was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Parts of it that were not, and never will be.
    pub rejected: u64,
    /// What is said of that, or of the rest, for people.
    pub remark: Option<String>,
}

impl Verdict {
    /// How many of so many `parts` ("records") were refused, and in words: more than there were cannot be. None if all were
    /// taken.
    pub fn refusal(&self, of: u64, parts: &str) -> Option<(u64, String)> {
        let rejected = Some(self.rejected.min(of)).filter(|rejected| *rejected > 0)?;
        Some((rejected, format!("the server refuses {rejected} of {of} {parts}{}", self.behind())))
    }

    /// The remark, to be put behind something.
    pub fn behind(&self) -> String {
        self.remark.as_ref().map_or_else(String::new, |remark| format!(": {remark}"))
    }
}

/// A line of JSON for each record.
#[derive(Default)]
pub struct JsonLines(pub Fields);

impl Body for JsonLines {
    fn form(&self) -> Form {
        Form::of("application/x-ndjson")
    }

    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()> {
        self.0.put(out, record)?;
        out.push(b'\n');
        Ok(())
    }
}
