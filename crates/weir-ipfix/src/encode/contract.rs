//! What all encoders have in common.

use super::encoder::{Encoder, TooLarge};
use weir_record::FlowRecord;

/// Why a record is in no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is longer than a message may be.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A frame of something else.
    #[error("it has no place for what is not IP: filter=protocol != null leaves it out")]
    NotIp,
    /// There are four bytes for an address.
    #[error("NetFlow 5 has no place for IPv6: filter=ethertype == 0x0800 leaves it out, netflow9 has one")]
    Ipv6,
    /// There are 14 bits for it.
    #[error("NetFlow 5 has no place for a sampling rate of 1 in {0}: 16383 is the most")]
    SamplingRate(u32),
    /// It would be tens of thousands of flows.
    #[error("NetFlow 5 counts in 32 bits: {0} bytes or packets are more than so many flows should say")]
    TooMuch(u64),
}

/// Records in, messages out: how a collector is spoken to by.
///
/// What is handed out lies in buffers that are used again for what comes next, so that records cost no allocation.
pub trait Encode: Send {
    /// When the messages from now on are sent, in seconds since the epoch. To be said between messages.
    fn set_time(&mut self, seconds: u32);

    /// A message of several records is no longer than this.
    fn set_usual(&mut self, bytes: usize);

    /// What has been said of how records lie in messages is said again, each before the next record that needs it.
    fn renew(&mut self);

    /// What stands before all records.
    fn preface(&mut self) -> &[Vec<u8>] {
        &[]
    }

    /// Adds a record, and hands out the messages that are full by it: none, as a rule.
    ///
    /// # Errors
    /// It cannot be said: nothing of it is in a message.
    fn add(&mut self, record: &FlowRecord) -> Result<&[Vec<u8>], Refused>;

    /// Ends the message, where there is anything in it.
    fn end(&mut self) -> &[Vec<u8>];

    /// What the exporter says of itself, since it began: of what was handed out, and of what it could not say.
    fn statistics(&mut self) -> &[Vec<u8>] {
        &[]
    }

    /// How far it has come.
    fn progress(&self) -> Progress;

    /// What was handed out since it was so far was not sent, and what is in the message is not wanted any more.
    fn go_back(&mut self, progress: Progress);
}

/// What was handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of the next message, however these are counted.
    pub sequence: u32,
    /// Messages, where they are counted.
    pub messages: u64,
    /// Records of flows in them.
    pub flows: u64,
    /// Bytes of these messages.
    pub octets: u64,
}

impl Progress {
    /// Of which only the number is known.
    pub(crate) fn at(sequence: u32) -> Self {
        Self { sequence, ..Self::default() }
    }
}

impl Encode for Encoder {
    fn set_time(&mut self, seconds: u32) {
        self.set_time(seconds);
    }

    fn set_usual(&mut self, bytes: usize) {
        self.set_usual(bytes);
    }

    fn renew(&mut self) {
        self.renew();
    }

    fn preface(&mut self) -> &[Vec<u8>] {
        self.types()
    }

    fn add(&mut self, record: &FlowRecord) -> Result<&[Vec<u8>], Refused> {
        Ok(self.add(record)?)
    }

    fn end(&mut self) -> &[Vec<u8>] {
        self.end()
    }

    fn statistics(&mut self) -> &[Vec<u8>] {
        self.statistics()
    }

    fn progress(&self) -> Progress {
        self.progress()
    }

    fn go_back(&mut self, progress: Progress) {
        self.go_back(progress);
    }
}
