//! JSON lines, posted to a URL. The answer says that they have arrived.

use crate::client::{Address, Client, Post};
use crate::json::Fields;
use crate::peer::{Peer, Sent, Silence};
use std::io;
use weir_record::FlowRecord;

/// What is posted at once: half of what nginx takes unless it is told otherwise.
const LARGEST: usize = 512 * 1024;
/// What will not get better by being sent again: it is the batch that is wrong, not the moment.
const REFUSALS: [u16; 4] = [400, 413, 415, 422];

/// What nginx answers with 400, too, though no batch is wrong: by what its page says, and what that means.
const CONNECTIONS: [(&str, &str); 3] = [
    (
        "No required SSL certificate",
        "it wants a certificate from us: name one with cert_file=PATH and key_file=PATH",
    ),
    ("SSL certificate error", "it does not take our certificate"),
    ("sent to HTTPS port", "there it speaks HTTPS"),
];

/// A server.
pub struct Http {
    client: Client,
    fields: Fields,
    body: Vec<u8>,
}

impl Http {
    /// There, of these fields, or all.
    pub fn new(address: Address, fields: Fields) -> Self {
        Self { client: Client::new(address), fields, body: Vec::new() }
    }

    /// Posts lines of so many records.
    fn post(&self, body: &[u8], records: u64, sent: &mut Sent) -> io::Result<()> {
        let post = Post { query: "", content_type: "application/x-ndjson", body };
        let (status, page) = self.client.post(&post)?;
        match status.as_u16() {
            200..=299 => sent.answer = Some(format!("the server answers {status}")),
            400 if let Some(why) = wrong_connection(&page) => {
                return Err(self.client.failed(format_args!("the server answers {status}: {why}")));
            }
            code if REFUSALS.contains(&code) => {
                sent.refused += records;
                let why = self.client.failed(format_args!("the server refuses a batch: {status}"));
                sent.why = Some(why.to_string());
            }
            _ => return Err(self.client.failed(format_args!("the server answers {status}"))),
        }
        Ok(())
    }
}

impl Peer for Http {
    fn connect(&mut self) -> io::Result<()> {
        self.client.connect()
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let (mut sent, mut body) = (Sent::default(), std::mem::take(&mut self.body));
        body.clear();
        let mut count = 0;
        for (at, record) in records.iter().enumerate() {
            self.fields.put(&mut body, record)?;
            body.push(b'\n');
            count += 1;
            if body.len() >= LARGEST || at + 1 == records.len() {
                self.post(&body, count, &mut sent)?;
                (sent.bytes, count) = (sent.bytes + body.len(), 0);
                body.clear();
            }
        }
        self.body = body;
        Ok(sent)
    }

    fn disconnect(&mut self) {
        self.client.disconnect();
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}

fn wrong_connection(page: &[u8]) -> Option<&'static str> {
    let page = String::from_utf8_lossy(page);
    CONNECTIONS.iter().find(|(says, _)| page.contains(says)).map(|(_, means)| *means)
}
