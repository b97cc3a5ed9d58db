//! As many records as are sent at once to a server that answers. What is sent is a [`Body`], what brings it there a
//! [`Carrier`].

mod body;
mod server;

pub use self::body::{Body, Form, JsonLines, Verdict};
pub use self::server::{Answer, Carrier, Server};

use crate::peer::Sent;
use std::io;
use std::net::IpAddr;
use weir_record::FlowRecord;

/// Records in the form of a body.
pub struct Batch {
    body: Box<dyn Body>,
    buffer: Vec<u8>,
    largest: usize,
    /// How much was taken at once, or may be: less where the server has said that something was too large.
    room: usize,
}

/// What was made of some records.
#[derive(Debug, Default)]
pub struct Filled {
    /// How many these are.
    pub count: usize,
    /// Of these, how many cannot be said in this form.
    pub unsaid: usize,
    why: Option<String>,
}

impl Filled {
    /// Counts what could not be said.
    pub fn enter(self, sent: &mut Sent) {
        sent.refused += self.unsaid as u64;
        sent.why = self.why.or(sent.why.take());
    }
}

impl Batch {
    /// Of no more bytes than these.
    pub fn new(body: Box<dyn Body>, largest: usize) -> Self {
        Self { body, buffer: Vec::new(), largest, room: largest }
    }

    /// What is written.
    pub fn form(&self) -> Form {
        self.body.form()
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Whoever is there now may take more.
    pub fn renew(&mut self) {
        self.room = self.largest;
    }

    /// Says which address we have.
    pub fn comes_from(&mut self, agent: Option<IpAddr>) {
        self.body.comes_from(agent);
    }

    /// What was written last is too large.
    pub fn halve(&mut self) {
        self.room = self.buffer.len() / 2;
    }

    /// Writes as many records as there is room for, one at least.
    pub fn fill(&mut self, records: &[FlowRecord]) -> io::Result<Filled> {
        self.buffer.clear();
        self.body.begin(&mut self.buffer);
        let mut filled = Filled::default();
        for record in records {
            if let Some(why) = self.body.refusal(record) {
                (filled.unsaid, filled.why) = (filled.unsaid + 1, Some(why));
            } else {
                let before = self.buffer.len();
                self.body.append(&mut self.buffer, record)?;
                if self.buffer.len() > self.room && filled.count > filled.unsaid {
                    self.buffer.truncate(before);
                    break;
                }
            }
            filled.count += 1;
        }
        self.body.end(&mut self.buffer);
        Ok(filled)
    }
}
