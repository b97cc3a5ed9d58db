//! Records, posted to a URL. The answer says that they have arrived. What is posted is a [`Body`].

mod answer;
mod body;

pub use self::body::{Body, JsonLines, Verdict};

use self::answer::Answer;
use crate::client::{Address, Client, Post};
use crate::peer::{Peer, Sent, Silence};
use std::io;
use weir_record::FlowRecord;

/// What is posted at once: half of what nginx takes unless it is told otherwise, less what ends a body.
const LARGEST: usize = 512 * 1024 - 16;

/// A server.
pub struct Http {
    client: Client,
    body: Box<dyn Body>,
    buffer: Vec<u8>,
    /// How much it has taken at once, or may take: less where it has said that something was too large.
    room: usize,
}

impl Http {
    /// There, in this form.
    pub fn new(address: Address, body: Box<dyn Body>) -> Self {
        Self { client: Client::new(address), body, buffer: Vec::new(), room: LARGEST }
    }

    /// Writes a body of as many records as there is room for, one at least: how many these are.
    fn fill(&mut self, records: &[FlowRecord]) -> io::Result<usize> {
        self.buffer.clear();
        self.body.begin(&mut self.buffer);
        let mut count = 0;
        for record in records {
            let before = self.buffer.len();
            self.body.append(&mut self.buffer, record)?;
            if self.buffer.len() > self.room && count > 0 {
                self.buffer.truncate(before);
                break;
            }
            count += 1;
        }
        self.body.end(&mut self.buffer);
        Ok(count)
    }

    /// Posts what was written.
    fn post(&self) -> io::Result<Answer> {
        let post = Post { query: "", content_type: self.body.content_type(), body: &self.buffer };
        let reply = self.client.post(&post)?;
        Answer::of(reply.status, &reply.page, &*self.body)
            .map_err(|why| self.client.not_now(&reply, format_args!("the server answers {why}")))
    }

    /// What an answer says of so many records; how many of them are done with.
    fn enter(&mut self, answer: Answer, count: usize, sent: &mut Sent) -> usize {
        match answer {
            Answer::Taken(status, Verdict { rejected, remark }) => {
                let remark = remark.map_or_else(String::new, |remark| format!(": {remark}"));
                if rejected > 0 {
                    let rejected = rejected.min(count as u64);
                    sent.refused += rejected;
                    let why = format_args!("the server refuses {rejected} of {count} records{remark}");
                    sent.why = Some(self.client.failed(why).to_string());
                }
                sent.answer = Some(format!("the server answers {status}{remark}"));
            }
            Answer::TooLarge(_) if count > 1 => {
                self.room = self.buffer.len() / 2;
                return 0;
            }
            Answer::TooLarge(why) | Answer::Refused(why) => {
                sent.refused += count as u64;
                sent.why =
                    Some(self.client.failed(format_args!("the server refuses a batch: {why}")).to_string());
            }
        }
        sent.bytes += self.buffer.len();
        count
    }
}

impl Peer for Http {
    fn connect(&mut self) -> io::Result<()> {
        self.room = LARGEST;
        self.client.connect()
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let (mut sent, mut rest) = (Sent::default(), records);
        while !rest.is_empty() {
            let count = self.fill(rest)?;
            let answer = self.post()?;
            let done = self.enter(answer, count, &mut sent);
            rest = &rest[done..];
        }
        Ok(sent)
    }

    fn disconnect(&mut self) {
        self.client.disconnect();
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}
