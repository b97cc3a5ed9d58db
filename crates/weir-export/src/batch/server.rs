//! A server that says when it has a batch.

use super::{Batch, Body, Form, Verdict};
use crate::peer::{Peer, Sent, Silence};
use std::fmt;
use std::io;
use std::net::IpAddr;
use weir_record::FlowRecord;

/// What an answer says of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there, but for what the verdict says; in the protocol's word for that.
    Taken(String, Verdict),
    /// Less of it may be taken; why.
    TooLarge(String),
    /// It will never be taken; why.
    Refused(String),
}

/// What brings batches to one server.
pub trait Carrier: Send {
    /// How many bytes are sent at once.
    fn largest(&self) -> usize;

    /// Connects anew, and says which address we have there, where that is known.
    ///
    /// # Errors
    /// It cannot be reached.
    fn connect(&mut self) -> io::Result<Option<IpAddr>>;

    /// Sends these bytes, in this form.
    ///
    /// # Errors
    /// There is no answer, or it is not taken now.
    fn carry(&mut self, bytes: &[u8], form: Form) -> io::Result<Answer>;

    /// Says of whom it is.
    fn failed(&self, why: fmt::Arguments<'_>) -> io::Error;

    /// Closes the connection, where there is one.
    fn disconnect(&mut self);
}

/// The server, and what it is sent.
pub struct Server {
    carrier: Box<dyn Carrier>,
    batch: Batch,
}

impl Server {
    /// There, in this form.
    pub fn new(carrier: Box<dyn Carrier>, body: Box<dyn Body>) -> Self {
        let batch = Batch::new(body, carrier.largest());
        Self { carrier, batch }
    }

    /// What an answer says of a batch of so many records; whether it is done with.
    fn enter(&mut self, answer: Answer, count: usize, sent: &mut Sent) -> bool {
        match answer {
            Answer::Taken(word, verdict) => {
                if let Some((rejected, why)) = verdict.refusal(count as u64, "records") {
                    self.refuse(rejected, format_args!("{why}"), sent);
                }
                sent.answer = Some(format!("the server answers {word}{}", verdict.behind()));
            }
            Answer::TooLarge(_) if count > 1 => {
                self.batch.halve();
                return false;
            }
            Answer::TooLarge(why) | Answer::Refused(why) => {
                self.refuse(count as u64, format_args!("the server refuses a batch: {why}"), sent);
            }
        }
        sent.bytes += self.batch.bytes().len();
        true
    }

    fn refuse(&self, records: u64, why: fmt::Arguments<'_>, sent: &mut Sent) {
        sent.refused += records;
        sent.why = Some(self.carrier.failed(why).to_string());
    }
}

impl Peer for Server {
    fn connect(&mut self) -> io::Result<()> {
        self.batch.renew();
        let local = self.carrier.connect()?;
        self.batch.comes_from(local);
        Ok(())
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let (mut sent, mut rest) = (Sent::default(), records);
        while !rest.is_empty() {
            let filled = self.batch.fill(rest)?;
            let count = filled.count - filled.unsaid;
            let is_done = count == 0 || {
                let answer = self.carrier.carry(self.batch.bytes(), self.batch.form())?;
                self.enter(answer, count, &mut sent)
            };
            if is_done {
                rest = &rest[filled.count..];
                filled.enter(&mut sent);
            }
        }
        Ok(sent)
    }

    fn disconnect(&mut self) {
        self.carrier.disconnect();
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}
