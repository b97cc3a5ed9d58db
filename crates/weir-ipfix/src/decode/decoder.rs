//! One message after the other, and what has to be remembered between them.

use super::flow::{Around, Flow};
use super::tally::{Cause, Tally};
use super::template::{Template, Told, next};
use crate::wire::{Bytes, FIRST_TEMPLATE, MESSAGE_HEADER, OPTIONS_TEMPLATES, SET_HEADER, TEMPLATES, VERSION};
use std::collections::HashMap;
use weir_record::FlowRecord;

/// Values in all templates together that are remembered: 25 MB of them, and some 100 where each is a template.
const MOST_SLOTS: usize = 1 << 20;
/// Observation domains that are remembered.
const MOST_DOMAINS: usize = 4096;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// They begin otherwise.
    #[error("not IPFIX: version {0} instead of 10")]
    Version(u16),
    /// They are more or fewer than it says.
    #[error("a message of {there} bytes that says it has {said}")]
    Length {
        /// By the message.
        said: usize,
        /// That there are.
        there: usize,
    },
}

/// Reads the messages of one exporter: of one file, or one connection. Templates of one do not count for another.
#[derive(Debug, Default)]
pub struct Decoder {
    domains: HashMap<u32, Domain>,
    slots: usize,
    tally: Tally,
}

/// What an observation domain has said.
#[derive(Debug, Default)]
struct Domain {
    templates: HashMap<u16, Template>,
    boot: Option<u64>,
    /// The sequence number of the next message; none where it cannot be known.
    expected: Option<u32>,
}

impl Decoder {
    /// One that has read nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much was read, and what was not decoded.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Reads one message and hands on the flows in it. What cannot be decoded is counted, and the rest read.
    ///
    /// # Errors
    /// The bytes are no message: nothing of them was read.
    pub fn message(&mut self, bytes: &[u8], mut take: impl FnMut(FlowRecord)) -> Result<(), Mistake> {
        let header = Header::read(bytes)?;
        self.tally.messages += 1;
        if self.domains.len() >= MOST_DOMAINS && !self.domains.contains_key(&header.domain) {
            self.domains.clear();
            self.slots = 0;
        }
        let Self { domains, slots, tally } = self;
        let domain = domains.entry(header.domain).or_default();
        tally.add(Cause::Missing, domain.missing(header.sequence).into());
        let records = domain.sets(header, bytes, (slots, tally), &mut take);
        domain.expected = records.map(|records| header.sequence.wrapping_add(records));
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Header {
    sent: u64,
    sequence: u32,
    domain: u32,
}

impl Header {
    fn read(message: &[u8]) -> Result<Self, Mistake> {
        let mut bytes = Bytes(message);
        let mut fields = || Some((bytes.u16()?, bytes.u16()?, bytes.u32()?, bytes.u32()?, bytes.u32()?));
        let too_short = Mistake::Length { said: MESSAGE_HEADER, there: message.len() };
        let (version, length, sent, sequence, domain) = fields().ok_or(too_short)?;
        if version != VERSION {
            return Err(Mistake::Version(version));
        }
        if usize::from(length) != message.len() {
            return Err(Mistake::Length { said: length.into(), there: message.len() });
        }
        Ok(Self { sent: u64::from(sent) * 1_000_000_000, sequence, domain })
    }
}

impl Domain {
    /// Records that the exporter has counted since the message before, and that have not come. An exporter that began
    /// anew, and a message that was overtaken, count for nothing.
    fn missing(&self, sequence: u32) -> u32 {
        let ahead = self.expected.map_or(0, |expected| sequence.wrapping_sub(expected));
        if ahead > u32::MAX / 2 { 0 } else { ahead }
    }

    /// Reads all sets: how many records are in them, if that can be known.
    fn sets(
        &mut self,
        header: Header,
        message: &[u8],
        (slots, tally): (&mut usize, &mut Tally),
        take: &mut dyn FnMut(FlowRecord),
    ) -> Option<u32> {
        let mut bytes = Bytes(message.get(MESSAGE_HEADER..)?);
        let mut records = Some(0_u32);
        while bytes.len() > 0 {
            let Some((id, set)) = set(&mut bytes) else {
                tally.add(Cause::BadSet, 1);
                return None;
            };
            let read = match id {
                TEMPLATES | OPTIONS_TEMPLATES => {
                    self.templates(set, id == OPTIONS_TEMPLATES, slots, tally);
                    Some(0)
                }
                _ => self.data(id, set, header.sent, tally, take),
            };
            records = records.zip(read).map(|(records, read)| records.wrapping_add(read));
        }
        records
    }

    fn templates(&mut self, mut set: Bytes<'_>, is_options: bool, slots: &mut usize, tally: &mut Tally) {
        // Less than that is padding.
        while set.len() >= SET_HEADER {
            match next(&mut set, is_options) {
                Some(Told::Withdrawn(id)) => self.templates.retain(|own, template| {
                    let of_set = if template.is_options { OPTIONS_TEMPLATES } else { TEMPLATES };
                    let stays = id != *own && id != of_set;
                    *slots -= if stays { 0 } else { template.slots.len() };
                    stays
                }),
                Some(Told::Template(id, template)) if *slots + template.slots.len() <= MOST_SLOTS => {
                    *slots += template.slots.len();
                    let before = self.templates.insert(id, template);
                    *slots -= before.map_or(0, |before| before.slots.len());
                }
                Some(Told::Template(..)) => tally.add(Cause::BadTemplate, 1),
                // Where the next one begins cannot be known.
                None => {
                    tally.add(Cause::BadTemplate, 1);
                    return;
                }
            }
        }
    }

    /// How many records there are, if that can be known.
    fn data(
        &mut self,
        id: u16,
        mut set: Bytes<'_>,
        sent: u64,
        tally: &mut Tally,
        take: &mut dyn FnMut(FlowRecord),
    ) -> Option<u32> {
        let template = self.templates.get(&id).filter(|_| id >= FIRST_TEMPLATE);
        let Some(template) = template else {
            tally.add(Cause::NoTemplate, 1);
            return None;
        };
        let mut records = 0;
        // Less than a record is padding.
        while set.len() >= template.shortest {
            let Some(flow) = Flow::read(template, &mut set, tally) else {
                tally.add(Cause::CutRecord, 1);
                return None;
            };
            records += 1;
            if template.is_options {
                tally.add(Cause::Options, 1);
                self.boot = flow.boot().or(self.boot);
                continue;
            }
            tally.add(Cause::UnknownElement, template.unknown);
            match flow.record(template.is_foreign, Around { sent, boot: self.boot }, tally) {
                Some(record) => {
                    tally.records += 1;
                    take(record);
                }
                None => tally.add(Cause::NoFlow, 1),
            }
        }
        Some(records)
    }
}

/// The next set, without its header.
fn set<'b>(bytes: &mut Bytes<'b>) -> Option<(u16, Bytes<'b>)> {
    let (id, length) = (bytes.u16()?, bytes.u16()?);
    let inside = usize::from(length).checked_sub(SET_HEADER)?;
    bytes.take(inside).map(|inside| (id, Bytes(inside)))
}
