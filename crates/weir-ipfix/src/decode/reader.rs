//! Files: one message after the other (RFC 5655).

use super::decoder::{Decoder, Mistake};
use super::tally::Tally;
use crate::wire::{MESSAGE_HEADER, VERSION};
use std::io::{self, ErrorKind, Read};
use std::vec;
use weir_record::FlowRecord;

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What follows is no message.
    #[error("at byte {at}: {mistake}")]
    Message {
        /// Where it begins.
        at: u64,
        /// What is wrong with it.
        mistake: Mistake,
    },
    /// It ends within a message.
    #[error("it ends within the message at byte {at}")]
    Cut {
        /// Where that begins.
        at: u64,
    },
}

/// Whether a file that begins so is IPFIX.
pub fn is_ipfix(beginning: &[u8]) -> bool {
    matches!(beginning, [major, minor, high, low, ..]
        if u16::from_be_bytes([*major, *minor]) == VERSION
            && usize::from(u16::from_be_bytes([*high, *low])) >= MESSAGE_HEADER)
}

/// The flows of a file, one by one. After an error there are no more; what was read before it counts.
///
/// What cannot be decoded is in the [`Tally`]. Where an exporter tells no `flow_id` it is 0; `interface` is empty, its
/// kind `other`. Bytes are those from the link layer on only if the exporter counts these too (layer2OctetDeltaCount);
/// with most they are those of the IP packets.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    decoder: Decoder,
    message: Vec<u8>,
    ready: vec::IntoIter<FlowRecord>,
    at: u64,
    has_ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from there, whole messages at once.
    pub fn new(from: R) -> Self {
        let (decoder, message, ready) = (Decoder::new(), Vec::new(), Vec::new().into_iter());
        Self { from, decoder, message, ready, at: 0, has_ended: false }
    }

    /// How much was read so far, and what was not decoded.
    pub fn tally(&self) -> &Tally {
        self.decoder.tally()
    }

    /// Reads a message; none where the file ends before one.
    fn message(&mut self) -> Result<Option<()>, ReadError> {
        let at = self.at;
        self.message.clear();
        match self.fill(MESSAGE_HEADER)? {
            0 => return Ok(None),
            there if there < MESSAGE_HEADER => return Err(ReadError::Cut { at }),
            _ => {}
        }
        let (version, length) = (word(&self.message, 0), usize::from(word(&self.message, 2)));
        if version != VERSION {
            return Err(ReadError::Message { at, mistake: Mistake::Version(version) });
        }
        if length < MESSAGE_HEADER {
            let mistake = Mistake::Length { said: length, there: MESSAGE_HEADER };
            return Err(ReadError::Message { at, mistake });
        }
        if self.fill(length - MESSAGE_HEADER)? < length - MESSAGE_HEADER {
            return Err(ReadError::Cut { at });
        }
        self.at += length as u64;
        let mut flows = Vec::new();
        let read = self.decoder.message(&self.message, |flow| flows.push(flow));
        read.map_err(|mistake| ReadError::Message { at, mistake })?;
        self.ready = flows.into_iter();
        Ok(Some(()))
    }

    /// Reads so many bytes more, or as many as there are.
    fn fill(&mut self, length: usize) -> Result<usize, ReadError> {
        let begin = self.message.len();
        self.message.resize(begin + length, 0);
        let mut filled = begin;
        while filled < self.message.len() {
            match self.from.read(&mut self.message[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled - begin)
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<FlowRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.next() {
                return Some(Ok(record));
            }
            if self.has_ended {
                return None;
            }
            match self.message() {
                Ok(Some(())) => {}
                Ok(None) => self.has_ended = true,
                Err(error) => {
                    self.has_ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
