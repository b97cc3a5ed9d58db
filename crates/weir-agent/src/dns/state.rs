//! What can be said of DNS.

use super::Dns;
use crate::Durations;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What has become of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsState {
    /// Interfaces that are listened at.
    pub dns_interfaces: u64,
    /// Messages that were read, at each interface that they came by.
    pub dns_messages: u64,
    /// Questions that were answered: each once.
    pub dns_answers: u64,
    /// How long answers took, where one interface saw both.
    pub dns_latency: Durations,
    /// Questions that nobody has answered in time.
    pub dns_timeouts: u64,
    /// Messages that the kernel's ring had no room for.
    pub lost_dns_messages: u64,
    /// Messages that could not be read.
    pub malformed_dns_messages: u64,
    /// Messages of which not all was copied.
    pub cut_dns_messages: u64,
    /// Answers to no question, by what is wrong with them.
    pub stray_dns_answers: BTreeMap<String, u64>,
    /// Questions that were forgotten while somebody waited for an answer.
    pub evicted_dns_questions: u64,
    /// Segments of TCP streams that could not be followed, by cause.
    pub unfollowed_dns_segments: BTreeMap<String, u64>,
}

impl DnsState {
    /// Answers to no question.
    pub fn strays(&self) -> u64 {
        self.stray_dns_answers.values().sum()
    }
}

impl Dns {
    /// What can be said of it.
    pub fn state(&self) -> DnsState {
        let talk = &self.talk;
        let unfollowed = talk.streams.unfollowed();
        let segments =
            [("begun", unfollowed.begun), ("gaps", unfollowed.gaps), ("evicted_streams", unfollowed.evicted)];
        let named = |(name, number): (&str, u64)| (name.to_owned(), number);
        DnsState {
            dns_interfaces: self.interfaces() as u64,
            dns_messages: talk.read,
            dns_answers: talk.exchanges.answered(),
            dns_latency: talk.latency,
            dns_timeouts: talk.exchanges.unanswered(),
            lost_dns_messages: self.lost(),
            malformed_dns_messages: talk.malformed,
            cut_dns_messages: talk.cut,
            stray_dns_answers: talk.exchanges.strays().each().map(named).into(),
            evicted_dns_questions: talk.exchanges.evicted(),
            unfollowed_dns_segments: segments.map(named).into(),
        }
    }
}
