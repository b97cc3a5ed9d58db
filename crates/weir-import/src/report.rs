//! What became of all that is in a file.

use crate::error::{Error, Result};
use crate::{Format, Take};
use std::collections::BTreeMap;
use std::fmt;
use weir_record::{Count, FlowRecord};

/// Why something is in no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Packets of a link type that is not known.
    LinkType(u16),
    /// Packets that do not say when they came, or no time that there is.
    NoTime,
    /// Packets of an interface that the file does not describe.
    NoInterface,
    /// Records of nfcapd that are of an older kind.
    OldRecord(u16),
    /// Records of nfcapd that count no packets of any two ends: events of a firewall, without addresses.
    NotAFlow,
    /// Records of nfcapd that are not as long as they say.
    Damaged,
    /// What an IPFIX file holds beside flows, or that is none.
    Ipfix(weir_ipfix::Cause),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkType(number) => write!(f, "packets of link type {number}, which is not known"),
            Self::NoTime => f.write_str("packets without a usable time"),
            Self::NoInterface => f.write_str("packets of an interface that the file does not describe"),
            Self::OldRecord(kind) => write!(f, "records of the old type {kind}"),
            Self::NotAFlow => f.write_str("records without addresses, times or counts"),
            Self::Damaged => f.write_str("damaged records"),
            Self::Ipfix(cause) => cause.fmt(f),
        }
    }
}

/// What is in no record for one cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many packets, or records of the file.
    pub number: u64,
    /// What they count, as far as that is known.
    pub count: Count,
}

/// What became of all that is in a file: `read` is `recorded` and what was left out, to the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is.
    pub format: Format,
    /// Packets in the file.
    pub read: Count,
    /// Records made of it.
    pub records: u64,
    /// Packets in them, of both directions.
    pub recorded: Count,
    /// What is in no record.
    pub left_out: BTreeMap<Cause, LeftOut>,
    /// Beginning of the first record and end of the last, nanoseconds since the Unix epoch.
    pub times: Option<(u64, u64)>,
    /// Why it was not read to its end.
    pub broken: Option<String>,
}

/// Where records go, and where it is counted.
pub(crate) struct Output<'a, 'b> {
    take: &'a mut Take<'b>,
    pub report: Report,
}

impl<'a, 'b> Output<'a, 'b> {
    pub fn new(format: Format, take: &'a mut Take<'b>) -> Self {
        let none = Count::default();
        let left_out = BTreeMap::new();
        let report =
            Report { format, read: none, records: 0, recorded: none, left_out, times: None, broken: None };
        Self { take, report }
    }

    /// These packets are in the file.
    pub fn saw(&mut self, count: Count) {
        add(&mut self.report.read, count);
    }

    /// One packet or record is in no record.
    pub fn leave_out(&mut self, cause: Cause, count: Count) {
        let of = self.report.left_out.entry(cause).or_default();
        of.number += 1;
        add(&mut of.count, count);
    }

    /// So many things that count no packets were of no use.
    pub fn did_not_understand(&mut self, cause: Cause, number: u64) {
        self.report.left_out.entry(cause).or_default().number += number;
    }

    /// Hands a record out.
    pub fn record(&mut self, record: FlowRecord) -> Result<()> {
        let report = &mut self.report;
        let (start, end) = report.times.unwrap_or((record.start, record.end));
        report.times = Some((start.min(record.start), end.max(record.end)));
        report.records += 1;
        add(&mut report.recorded, Count { packets: record.packets, bytes: record.bytes });
        add(&mut report.recorded, record.reverse.map_or_else(Count::default, |reverse| reverse.count));
        Ok((self.take)(record).map_err(Error::Keep)?)
    }
}

/// A file may say anything: what is too much for a sum stays the most that there is.
fn add(sum: &mut Count, more: Count) {
    sum.packets = sum.packets.saturating_add(more.packets);
    sum.bytes = sum.bytes.saturating_add(more.bytes);
}
