//! A message on its way: sets are added as long as they fit.

use crate::wire::{MESSAGE_HEADER, SET_HEADER, VERSION, set_u16};

/// What has not been sent yet.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
    /// The set that the next record may be added to: its id, and where it begins.
    set: Option<(u16, usize)>,
    /// Records of data in it.
    records: u32,
}

impl Message {
    /// One without anything in it.
    pub fn empty() -> Self {
        Self { bytes: vec![0; MESSAGE_HEADER], set: None, records: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == MESSAGE_HEADER
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record to a set of this id, and begins one where the last is another.
    pub fn put(&mut self, set: u16, record: &[u8]) {
        let begin = match self.set {
            Some((id, begin)) if id == set => begin,
            _ => {
                let begin = self.bytes.len();
                self.bytes.extend(set.to_be_bytes());
                self.bytes.extend([0; 2]);
                self.set = Some((set, begin));
                begin
            }
        };
        self.bytes.extend(record);
        let length = self.bytes.len() - begin;
        set_u16(&mut self.bytes, begin + 2, u16::try_from(length).unwrap_or(u16::MAX));
        self.records += u32::from(set >= crate::wire::FIRST_TEMPLATE);
    }

    /// How much longer it gets by such a record.
    pub fn cost(&self, set: u16, record: usize) -> usize {
        match self.set {
            Some((id, _)) if id == set => record,
            _ => SET_HEADER + record,
        }
    }

    /// Ends it: the bytes, and how many records of data are in it.
    pub fn end(mut self, time: u32, sequence: u32, domain: u32) -> (Vec<u8>, u32) {
        let length = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        set_u16(&mut self.bytes, 0, VERSION);
        set_u16(&mut self.bytes, 2, length);
        for (at, value) in [(4, time), (8, sequence), (12, domain)] {
            self.bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        (self.bytes, self.records)
    }
}
