//! Records by gRPC: a call for each batch, whose answer says that they have arrived.

pub mod answer;
mod channel;
mod codec;
mod socket;

pub use self::channel::Address;

use self::channel::Channel;
use crate::batch::{Answer, Carrier, Form};
use std::fmt;
use std::io;
use std::net::IpAddr;

/// netobserv's method, which takes its flows.
pub const NETOBSERV: &str = "/pbflow.Collector/Send";

/// A server, and what is called there.
pub struct Grpc {
    channel: Channel,
    method: &'static str,
}

impl Grpc {
    /// This method there.
    pub fn new(address: Address, method: &'static str) -> Self {
        Self { channel: Channel::new(address), method }
    }
}

impl Carrier for Grpc {
    /// An eighth of what a server of gRPC takes unless it is told otherwise.
    fn largest(&self) -> usize {
        512 * 1024
    }

    fn connect(&mut self) -> io::Result<Option<IpAddr>> {
        self.channel.connect(self.method)?;
        Ok(self.channel.local())
    }

    fn carry(&mut self, bytes: &[u8], form: Form) -> io::Result<Answer> {
        let mut reply = self.channel.call(bytes);
        // Servers close connections that have rested, or are old: nobody is away for that.
        if reply.as_ref().is_err_and(|status| self.channel.has_ended(status)) {
            self.channel.connect(self.method)?;
            reply = self.channel.call(bytes);
        }
        answer::of(reply, form).map_err(|refusal| self.channel.not_now(refusal))
    }

    fn failed(&self, why: fmt::Arguments<'_>) -> io::Error {
        self.channel.failed(why)
    }

    fn disconnect(&mut self) {
        self.channel.disconnect();
    }
}
