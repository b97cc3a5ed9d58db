//! Records, posted to a URL. The answer says that they have arrived.

pub mod answer;

use crate::batch::{Answer, Carrier, Form};
use crate::client::{Address, Client, Post};
use std::fmt;
use std::io;
use std::net::IpAddr;

/// A URL.
pub struct Http {
    client: Client,
}

impl Http {
    /// There.
    pub fn new(address: Address) -> Self {
        Self { client: Client::new(address) }
    }
}

impl Carrier for Http {
    /// Half of what nginx takes unless it is told otherwise, less what ends a body.
    fn largest(&self) -> usize {
        512 * 1024 - 16
    }

    fn connect(&mut self) -> io::Result<Option<IpAddr>> {
        self.client.connect().map(|()| None)
    }

    fn carry(&mut self, bytes: &[u8], form: Form) -> io::Result<Answer> {
        let post = Post { query: "", content_type: form.content_type, headers: &[], body: bytes };
        let reply = self.client.post(&post)?;
        answer::of(reply.status, &reply.page, form)
            .map_err(|why| self.client.not_now(&reply, format_args!("the server answers {why}")))
    }

    fn failed(&self, why: fmt::Arguments<'_>) -> io::Error {
        self.client.failed(why)
    }

    fn disconnect(&mut self) {
        self.client.disconnect();
    }
}
