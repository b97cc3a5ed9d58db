//! A question, and what became of it.

use crate::message::{Question, Record};
use std::net::SocketAddr;

/// What carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A datagram each.
    Udp,
    /// One after the other, each behind its length.
    Tcp,
}

impl Transport {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// An interface, among those of every network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Inode of its network namespace.
    pub netns: u32,
    /// Its number there.
    pub index: u32,
}

/// When and where a message came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// The interface.
    pub place: Place,
    /// On its way out of the host.
    pub is_egress: bool,
}

/// Who asks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Who asks.
    pub client: SocketAddr,
    /// Who is asked; a group, where all are.
    pub server: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// From when the question came by until the answer did, in nanoseconds, at one interface; where no interface saw
    /// both, nobody knows.
    pub latency: Option<u64>,
    /// How it went: 0 is well.
    pub code: u16,
    /// The server had more to say.
    pub is_truncated: bool,
    /// The records of the answer.
    pub records: Vec<Record>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered(Reply),
    /// Nobody did in time.
    Unanswered,
}

/// A question that was asked, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Where and when it came by first.
    pub asked: Seen,
    /// Who asked whom.
    pub ends: Ends,
    /// What.
    pub question: Question,
    /// How often it was asked again.
    pub retries: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// When that was known, in nanoseconds of the monotonic clock.
    pub ended: u64,
}
