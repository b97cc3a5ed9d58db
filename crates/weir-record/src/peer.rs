//! What has become of records on their way to another program.

use serde::{Deserialize, Serialize};

/// How it stands with the program that an exporter sends to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerCondition {
    /// Nothing was sent yet.
    #[default]
    Untried,
    /// It takes what it is sent.
    Connected,
    /// It does not: it is tried again and again.
    Away,
}

/// An exporter's own account. What it has lost stands with its sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerState {
    /// Whether it takes anything now.
    pub condition: PeerCondition,
    /// Records that it has been given, those that were sent again once more.
    pub delivered_records: u64,
    /// Records that were sent again since the connection broke: the peer may have had them already.
    pub resent_records: u64,
    /// Records that this exporter's own filter has left out.
    pub filtered_records: u64,
    /// Records that the peer refuses for good: they count as lost.
    pub refused_records: u64,
    /// Records that wait on disk.
    pub spooled_records: u64,
    /// What these take.
    pub spooled_bytes: u64,
    /// What they may take.
    pub spool_capacity_bytes: u64,
    /// Records on disk that could not be read back: they are lost.
    pub damaged_records: u64,
    /// How often a connection broke, or could not be had.
    pub failures: u64,
    /// Whether it has had as much as its rate allows, so that what comes waits.
    #[serde(default)]
    pub held_back: bool,
    /// Why, the last time; stays until the peer takes something again.
    pub error: Option<String>,
}
