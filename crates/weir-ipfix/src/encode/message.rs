//! A message on its way: sets are added as long as they fit. And messages that are through, until they are sent.

use crate::wire::{FIRST_TEMPLATE, MESSAGE_HEADER, PACKET_HEADER, SET_HEADER, set_u16};

/// What a message takes as a rule: a datagram on an Ethernet.
const ROOM: usize = 1500;
/// So many buffers stay: a record whose counts leave as thousands of messages is rare.
const KEPT: usize = 8;

/// What sets stand in.
#[derive(Debug, Clone, Copy)]
pub struct Outline {
    /// So many bytes before the first set.
    header: usize,
    /// Each set is a multiple of so many.
    alignment: usize,
}

impl Outline {
    /// Of IPFIX, which leaves open how long sets are.
    pub const IPFIX: Self = Self { header: MESSAGE_HEADER, alignment: 1 };
    /// Of NetFlow 9, whose sets should end at multiples of four (RFC 3954, section 5.3).
    pub const NETFLOW9: Self = Self { header: PACKET_HEADER, alignment: 4 };
}

/// What has not been sent yet.
#[derive(Debug)]
pub struct Message {
    outline: Outline,
    bytes: Vec<u8>,
    /// The set that the next record may be added to: its id, and where it begins.
    set: Option<(u16, usize)>,
    records: Records,
}

/// How many records are in a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Records {
    pub data: u32,
    /// Those that say what others are.
    pub templates: u32,
}

impl Message {
    /// One without anything in it.
    pub fn empty(outline: Outline) -> Self {
        let mut empty =
            Self { outline, bytes: Vec::with_capacity(ROOM), set: None, records: Records::default() };
        empty.clear();
        empty
    }

    /// Begins anew, in the same buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(self.outline.header, 0);
        (self.set, self.records) = (None, Records::default());
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.outline.header
    }

    /// Adds a record to a set of this id, and begins one where the last is another.
    pub fn put(&mut self, set: u16, record: &[u8]) {
        let begin = match self.set {
            Some((id, begin)) if id == set => begin,
            _ => {
                self.close();
                let begin = self.bytes.len();
                self.bytes.extend(set.to_be_bytes());
                self.bytes.extend([0; 2]);
                self.set = Some((set, begin));
                begin
            }
        };
        self.bytes.extend(record);
        self.measure(begin);
        match set >= FIRST_TEMPLATE {
            true => self.records.data += 1,
            false => self.records.templates += 1,
        }
    }

    /// The length of the set that begins there.
    fn measure(&mut self, begin: usize) {
        let length = self.bytes.len() - begin;
        set_u16(&mut self.bytes, begin + 2, u16::try_from(length).unwrap_or(u16::MAX));
    }

    /// Nothing more comes into the last set.
    fn close(&mut self) {
        if let Some((_, begin)) = self.set.take() {
            self.bytes.resize(self.aligned(self.bytes.len()), 0);
            self.measure(begin);
        }
    }

    /// How long it is with such a record in it.
    pub fn len_with(&self, set: u16, record: usize) -> usize {
        let length = match self.set {
            Some((id, _)) if id == set => self.bytes.len() + record,
            _ => self.aligned(self.bytes.len()) + SET_HEADER + record,
        };
        self.aligned(length)
    }

    /// Headers are multiples of it, too.
    fn aligned(&self, length: usize) -> usize {
        length.next_multiple_of(self.outline.alignment)
    }

    /// Ends it: `finish` gets the bytes, with room for the header, and what is in them, before they are handed out.
    pub fn end(&mut self, out: &mut Messages, finish: impl FnOnce(&mut [u8], Records)) {
        self.close();
        finish(&mut self.bytes, self.records);
        out.push(&mut self.bytes);
        self.clear();
    }
}

/// What is handed out, until what comes next is.
#[derive(Debug, Default)]
pub struct Messages {
    buffers: Vec<Vec<u8>>,
    /// In so many of them there is a message.
    count: usize,
}

impl Messages {
    /// These were sent.
    pub fn clear(&mut self) {
        self.buffers.truncate(KEPT);
        self.count = 0;
    }

    /// Takes the bytes of a message, and leaves a buffer for the next one.
    pub fn push(&mut self, message: &mut Vec<u8>) {
        if self.count == self.buffers.len() {
            self.buffers.push(Vec::with_capacity(ROOM));
        }
        let buffer = &mut self.buffers[self.count];
        buffer.clear();
        std::mem::swap(buffer, message);
        self.count += 1;
    }

    pub fn all(&self) -> &[Vec<u8>] {
        &self.buffers[..self.count]
    }
}
