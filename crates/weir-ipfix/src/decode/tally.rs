//! What became of what was in the messages.

use std::fmt;

/// Why something was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A set whose template has not come.
    NoTemplate,
    /// A template that makes no sense, or is one too many.
    BadTemplate,
    /// A set that is longer than its message or shorter than its header: the rest of the message is lost with it.
    BadSet,
    /// A record that is not of flows: of the exporter itself.
    Options,
    /// A record that ends before its last value: the rest of the set is lost with it.
    CutRecord,
    /// A record without addresses and protocol, or with such as do not go together.
    NoFlow,
    /// A value in a record of an element that is not known, or has no place in records.
    UnknownElement,
    /// A value that is none of its element.
    BadValue,
    /// A record without times: it has the time of its message.
    NoTime,
    /// A record that the exporter counts, and that has not come.
    Missing,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::NoTemplate,
        Self::BadTemplate,
        Self::BadSet,
        Self::Options,
        Self::CutRecord,
        Self::NoFlow,
        Self::UnknownElement,
        Self::BadValue,
        Self::NoTime,
        Self::Missing,
    ];
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoTemplate => "sets whose template is not there",
            Self::BadTemplate => "templates that make no sense",
            Self::BadSet => "sets of a wrong length",
            Self::Options => "records of the exporter itself",
            Self::CutRecord => "records that are cut short",
            Self::NoFlow => "records that are not of a flow",
            Self::UnknownElement => "values of elements that Weir has no field for",
            Self::BadValue => "values that are none",
            Self::NoTime => "records without a time, which have that of their message",
            Self::Missing => "records that the exporter counts and that are not there",
        })
    }
}

/// How much was read, and what was not decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Records of flows that were handed on.
    pub records: u64,
    counts: [u64; Cause::ALL.len()],
}

impl Tally {
    /// How many for this cause.
    pub fn of(&self, cause: Cause) -> u64 {
        self.counts[cause as usize]
    }

    /// All causes that there were, and how many for each.
    pub fn causes(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    pub(super) fn add(&mut self, cause: Cause, count: u64) {
        let place = &mut self.counts[cause as usize];
        *place = place.saturating_add(count);
    }
}
