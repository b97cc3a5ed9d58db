//! Conversations, as they go over the socket.

use serde::de::{DeserializeSeed, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_record::{Count, FlowRecord, Kind, Moved, Value};

/// What of the conversations is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Where the last answer ended; none for the first question: then all that is live is told, and nothing that has
    /// ended.
    #[serde(default)]
    pub since: Option<Mark>,
    /// Live conversations at most, the busiest first.
    pub most: usize,
}

/// Up to where a client has been told. What is in it is the agent's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The drain to come.
    pub drain: u32,
    /// Records that have ended.
    pub ended: u64,
}

/// The conversations that have moved since the mark.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flows {
    /// The agent's process: marks are of one agent.
    pub pid: u32,
    /// The mark for the next question.
    pub next: Mark,
    /// Whether more has ended than goes into an answer: ask again at once.
    pub is_partial: bool,
    /// When packets were last read from the kernel.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub until: u64,
    /// How long they were counted by then.
    pub counted_seconds: f64,
    /// How often they are read.
    pub interval_seconds: f64,
    /// Conversations that have not ended, listed or not.
    pub flows: u64,
    /// What the ledger has seen, at all observation points.
    pub seen: Count,
    /// What of that was lost.
    pub lost: Count,
    /// Whether the books balance.
    pub balanced: bool,
    /// What all records count since the agent began, those of live conversations as they are now. Each packet once, as
    /// far as points are joined.
    pub moved: Moved,
    /// Records that ended since the mark and are not here any more.
    pub missed_records: u64,
    /// Records that ended since the mark.
    pub ended: Vec<FlowRecord>,
    /// Live conversations that were seen since the mark, as their records would be if they ended now.
    pub live: Vec<FlowRecord>,
}

fn write_time<S: Serializer>(time: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    Value::Time(*time).serialize(serializer)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Kind::Time.deserialize(deserializer)? {
        Value::Time(time) => Ok(time),
        _ => Err(D::Error::custom("a time is missing")),
    }
}
