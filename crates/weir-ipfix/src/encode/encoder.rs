//! Records become messages.

use super::layout::{Shape, lay, template};
use super::message::{Message, Messages, Outline};
use super::options::{EXPORTED, LAST_TEMPLATE, NOT_SENT, Told, counts, selector_id};
use super::{Progress, types};
use crate::element::{Written, known, written};
use crate::wire::{MESSAGE_HEADER, OPTIONS_TEMPLATES, SET_HEADER, TEMPLATES, VERSION, set_u16, set_u32};
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
    /// What was handed out: its number is that of records of data.
    progress: Progress,
    /// Flows in this message.
    flows: u64,
    /// What fitted in no message: so many flows, and the packets and bytes of both directions.
    not_sent: [u64; 3],
    /// What was told beside flows, where anything is.
    told: Option<Told>,
    templates: HashMap<Shape, Template>,
    message: Message,
    /// Those that are full.
    full: Messages,
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
            progress: Progress::default(),
            flows: 0,
            not_sent: [0; 3],
            told: None,
            templates: HashMap::new(),
            message: Message::empty(Outline::IPFIX),
            full: Messages::default(),
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

    /// Tells names of interfaces and how packets were sampled, too, each before the first record that it is about and once
    /// more after each [`renew`](Self::renew), and says of sampled flows by which selector they are. Comes after
    /// [`of`](Self::of).
    #[must_use]
    pub fn with_options(mut self) -> Self {
        self.told = Some(Told::default());
        // As above.
        let twice = |written: Written| {
            let more = (written.field.name == "sampling_rate").then(|| selector_id(written));
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
        self.told = self.told.take().map(|_| Told::default());
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
    pub fn types(&mut self) -> &[Vec<u8>] {
        self.end();
        let records: Vec<_> = types::records(&self.fields).collect();
        if !records.is_empty() {
            self.message.put(OPTIONS_TEMPLATES, &types::TYPES.template());
        }
        records.iter().for_each(|record| self.put(types::TYPES.id, record));
        self.finish();
        self.full.all()
    }

    /// Messages that say what was exported so far, and what was not (RFC 7011, sections 4.1 and 4.3).
    pub fn statistics(&mut self) -> &[Vec<u8>] {
        self.end();
        let Progress { messages: sent, flows, octets, .. } = self.progress;
        let records = [
            (EXPORTED, counts(self.domain, [sent, flows, octets])),
            (NOT_SENT, counts(std::process::id(), self.not_sent)),
        ];
        for (options, record) in records {
            self.put(OPTIONS_TEMPLATES, &options.template());
            self.put(options.id, &record);
        }
        self.finish();
        self.full.all()
    }

    /// What is to be told before this record.
    fn tell(&mut self, record: &FlowRecord) {
        let Some(told) = &mut self.told else { return };
        for (options, is_first, record) in told.next(record) {
            if is_first {
                self.put(OPTIONS_TEMPLATES, &options.template());
            }
            self.put(options.id, &record);
        }
    }

    /// Adds a record, and hands out the messages that are full by it: one as a rule, or none.
    ///
    /// # Errors
    /// It fits in no message: it is left out.
    pub fn add(&mut self, record: &FlowRecord) -> Result<&[Vec<u8>], TooLarge> {
        self.full.clear();
        let put = self.put_flow(record);
        if put.is_err() {
            let counts = [record.packets, record.bytes];
            let back = record.reverse.map_or([0, 0], |reverse| [reverse.count.packets, reverse.count.bytes]);
            self.not_sent[0] += 1;
            for (at, count) in counts.into_iter().enumerate().chain(back.into_iter().enumerate()) {
                self.not_sent[1 + at] = self.not_sent[1 + at].saturating_add(count);
            }
        }
        put.map(|()| self.full.all())
    }

    fn put_flow(&mut self, record: &FlowRecord) -> Result<(), TooLarge> {
        let shape = lay(&self.fields, record, &mut self.data);
        self.fits_alone(self.data.len())?;
        let known = self.templates.get_mut(&shape);
        let (id, template) =
            match known.map(|template| (template.id, std::mem::replace(&mut template.is_told, true))) {
                Some((id, true)) => (id, None),
                Some((id, false)) => (id, Some(template(&self.fields, shape, id))),
                None => {
                    let id = self.next_template()?;
                    let template = template(&self.fields, shape, id);
                    self.fits_alone(template.len())?;
                    self.templates.insert(shape, Template { id, is_told: true });
                    (id, Some(template))
                }
            };
        // Nothing fails from here on: what is handed out is sent.
        self.tell(record);
        if let Some(template) = template {
            self.put(TEMPLATES, &template);
        }
        let data = std::mem::take(&mut self.data);
        self.put(id, &data);
        self.flows += 1;
        self.data = data;
        Ok(())
    }

    fn fits_alone(&self, record: usize) -> Result<(), TooLarge> {
        let needed = MESSAGE_HEADER + SET_HEADER + record;
        if needed > self.most { Err(TooLarge { needed, most: self.most }) } else { Ok(()) }
    }

    /// Adds what fits in a message: where it does not fit in this one, that is full.
    fn put(&mut self, set: u16, record: &[u8]) {
        if self.message.len_with(set, record.len()) > self.usual {
            self.finish();
        }
        self.message.put(set, record);
    }

    /// The number of one more template.
    fn next_template(&self) -> Result<u16, TooLarge> {
        let next = usize::from(LAST_TEMPLATE) + 1 + self.templates.len();
        u16::try_from(next).map_err(|_| TooLarge { needed: next, most: self.most })
    }

    /// What was handed out.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What was handed out since it was so much was not sent, and what is in the message is not wanted any more.
    pub fn go_back(&mut self, progress: Progress) {
        (self.progress, self.flows) = (progress, 0);
        self.message.clear();
        self.renew();
    }

    /// Ends the message, where there is anything in it.
    pub fn end(&mut self) -> &[Vec<u8>] {
        self.full.clear();
        self.finish();
        self.full.all()
    }

    /// Nothing more comes into the message, where there is anything in it.
    fn finish(&mut self) {
        if self.message.is_empty() {
            return;
        }
        let Self { time, domain, ref mut progress, ref mut flows, .. } = *self;
        self.message.end(&mut self.full, |bytes, records| {
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            set_u16(bytes, 0, VERSION);
            set_u16(bytes, 2, length);
            for (at, value) in [(4, time), (8, progress.sequence), (12, domain)] {
                set_u32(bytes, at, value);
            }
            progress.sequence = progress.sequence.wrapping_add(records.data);
            progress.messages += 1;
            progress.flows += std::mem::take(flows);
            progress.octets += bytes.len() as u64;
        });
    }
}
