//! Records become messages.

use super::layout::{Shape, lay, template};
use super::message::{Message, Outline};
use super::types;
use crate::element::{Written, known, written};
use crate::wire::{
    FIRST_TEMPLATE, MESSAGE_HEADER, OPTIONS_TEMPLATES, SET_HEADER, TEMPLATES, VERSION, set_u16, set_u32,
};
use std::collections::HashMap;
use weir_record::{Element, Field, FlowRecord};

/// octetDeltaCount.
const OCTETS: u16 = 1;

/// A record that fits in no message, or needs one template too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {needed} bytes would be needed, where {most} are allowed")]
pub struct TooLarge {
    /// Bytes of a message with this record, or its template, alone.
    pub needed: usize,
    /// Bytes that a message may have.
    pub most: usize,
}

/// Makes messages of records. A template stands before the first record that needs it, and once more after each
/// [`renew`](Encoder::renew), for those who may have lost it.
#[derive(Debug)]
pub struct Encoder {
    fields: Vec<Written>,
    domain: u32,
    most: usize,
    /// A message of several records is no longer than this.
    usual: usize,
    time: u32,
    /// Records of data in all messages before.
    sequence: u32,
    templates: HashMap<Shape, Template>,
    message: Message,
    /// The record at hand.
    data: Vec<u8>,
}

/// A template's number, and whether it was said since it was last asked for.
#[derive(Debug, Clone, Copy)]
struct Template {
    id: u16,
    is_told: bool,
}

impl Encoder {
    /// Messages of this observation domain, of so many bytes at most.
    pub fn new(domain: u32, most: u16) -> Self {
        Self {
            fields: written().to_vec(),
            domain,
            most: most.into(),
            usual: most.into(),
            time: 0,
            sequence: 0,
            templates: HashMap::new(),
            message: Message::empty(Outline::IPFIX),
            data: Vec::new(),
        }
    }

    /// Only these fields of each record; those that are in no message ([`is_written`](Self::is_written)) are left out.
    #[must_use]
    pub fn of(mut self, fields: &[&Field]) -> Self {
        self.fields.retain(|written| fields.iter().any(|field| field.name == written.field.name));
        self
    }

    /// Says bytes once more, as octetDeltaCount (1) and of the reverse direction: the same number, of the link layer, for
    /// collectors that know no layer2OctetDeltaCount. Comes after [`of`](Self::of).
    #[must_use]
    pub fn with_octets(mut self) -> Self {
        let octets = |field: &Field| match field.name {
            "bytes" => known(0, OCTETS),
            "reverse_bytes" => known(Element::REVERSE, OCTETS),
            _ => None,
        };
        // Beside the other one, not at the end: nfcapd loses its way behind texts that it does not know.
        let twice = |written: Written| {
            let more = octets(written.field).map(|known| Written { usual: known, other: known, ..written });
            [Some(written), more].into_iter().flatten()
        };
        self.fields = self.fields.into_iter().flat_map(twice).collect();
        self
    }

    /// Messages of so many bytes as a rule: only one that cannot be shorter, since a single record is as long, is longer.
    #[must_use]
    pub fn usually(mut self, bytes: usize) -> Self {
        self.set_usual(bytes);
        self
    }

    /// As [`usually`](Self::usually), of the messages from now on.
    pub fn set_usual(&mut self, bytes: usize) {
        self.usual = bytes.min(self.most);
    }

    /// Says every template again, each before the next record that needs it.
    pub fn renew(&mut self) {
        self.templates.values_mut().for_each(|template| template.is_told = false);
    }

    /// Whether a field has an element.
    pub fn is_written(field: &Field) -> bool {
        field.ipfix.is_some()
    }

    /// When the messages from now on are sent, in seconds since the epoch.
    pub fn set_time(&mut self, seconds: u32) {
        self.time = seconds;
    }

    /// Messages that say what our own elements are (RFC 5610). They stand before all others.
    pub fn types(&mut self) -> Vec<Vec<u8>> {
        let mut messages: Vec<_> = self.end().into_iter().collect();
        let records: Vec<_> = types::records(&self.fields).collect();
        if !records.is_empty() {
            self.message.put(OPTIONS_TEMPLATES, &types::template());
        }
        records.iter().for_each(|record| messages.extend(self.put(types::TEMPLATE, record)));
        messages.extend(self.end());
        messages
    }

    /// Adds a record, and hands out the messages that are full by it: one as a rule, or none.
    ///
    /// # Errors
    /// It fits in no message: it is left out.
    pub fn add(&mut self, record: &FlowRecord) -> Result<Vec<Vec<u8>>, TooLarge> {
        let shape = lay(&self.fields, record, &mut self.data);
        self.fits_alone(self.data.len())?;
        let mut full = Vec::new();
        let known = self.templates.get_mut(&shape);
        let id = match known.map(|template| (template.id, std::mem::replace(&mut template.is_told, true))) {
            Some((id, true)) => id,
            Some((id, false)) => {
                let template = template(&self.fields, shape, id);
                full.extend(self.put(TEMPLATES, &template));
                id
            }
            None => {
                let id = self.next_template()?;
                let template = template(&self.fields, shape, id);
                self.fits_alone(template.len())?;
                full.extend(self.put(TEMPLATES, &template));
                self.templates.insert(shape, Template { id, is_told: true });
                id
            }
        };
        let data = std::mem::take(&mut self.data);
        full.extend(self.put(id, &data));
        self.data = data;
        Ok(full)
    }

    fn fits_alone(&self, record: usize) -> Result<(), TooLarge> {
        let needed = MESSAGE_HEADER + SET_HEADER + record;
        if needed > self.most { Err(TooLarge { needed, most: self.most }) } else { Ok(()) }
    }

    /// Adds what fits in a message: where it does not fit in this one, that is handed out.
    fn put(&mut self, set: u16, record: &[u8]) -> Option<Vec<u8>> {
        let full = if self.message.len_with(set, record.len()) > self.usual { self.end() } else { None };
        self.message.put(set, record);
        full
    }

    /// The number of one more template.
    fn next_template(&self) -> Result<u16, TooLarge> {
        let next = usize::from(FIRST_TEMPLATE) + 1 + self.templates.len();
        u16::try_from(next).map_err(|_| TooLarge { needed: next, most: self.most })
    }

    /// Records of data in all messages that were handed out.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// What was handed out since there were so many was not sent, and what is in the message is not wanted any more.
    pub fn go_back(&mut self, sequence: u32) {
        (self.sequence, self.message) = (sequence, Message::empty(Outline::IPFIX));
        self.renew();
    }

    /// Ends the message, where there is anything in it.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        if self.message.is_empty() {
            return None;
        }
        let message = std::mem::replace(&mut self.message, Message::empty(Outline::IPFIX));
        let (mut bytes, records) = message.end();
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        set_u16(&mut bytes, 0, VERSION);
        set_u16(&mut bytes, 2, length);
        for (at, value) in [(4, self.time), (8, self.sequence), (12, self.domain)] {
            set_u32(&mut bytes, at, value);
        }
        self.sequence = self.sequence.wrapping_add(records.data);
        Some(bytes)
    }
}
