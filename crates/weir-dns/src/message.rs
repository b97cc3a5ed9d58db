//! What a message says.
//!
//! Libraries read it for those whom it was sent to: they refuse what is cut, or asks for a type that they do not
//! know. Who listens wants what there is.

use crate::name::Name;
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name that is asked for.
    pub name: Name,
    /// Type of the records that are asked for.
    pub kind: u16,
    /// Their class, without the bit that multicast DNS has in it.
    pub class: u16,
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Name,
    /// How long it holds, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// An address (A, AAAA).
    Address(IpAddr),
    /// The name that it is an alias of (CNAME).
    Alias(Name),
    /// Something else, of this type.
    Other(u16),
}

/// A message, as far as it is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// By which an answer is known to be one.
    pub id: u16,
    /// A question, else.
    pub is_answer: bool,
    /// What is wanted: 0 for a query.
    pub operation: u8,
    /// The server had more to say.
    pub is_truncated: bool,
    /// How it went: 0 is well.
    pub code: u16,
    /// What is asked: one thing, but for multicast DNS. The first [`QUESTIONS_MOST`].
    pub questions: SmallVec<[Question; 1]>,
    /// The records of the answer. The first [`RECORDS_MOST`].
    pub records: Vec<Record>,
}

/// Questions of one message that are kept.
const QUESTIONS_MOST: usize = 32;
/// Records of one answer that are kept.
const RECORDS_MOST: usize = 128;

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
/// Multicast DNS asks for an answer to the asker alone by it, and marks records that replace others.
const CLASS_BIT: u16 = 0x8000;

/// A record, and what is left out of it elsewhere.
struct Raw {
    owner: Name,
    kind: u16,
    class: u16,
    ttl: u32,
    /// Where its data begin, and how many they are.
    at: usize,
    length: usize,
}

/// Goes through a message.
struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.message.get(self.at..self.at + N).ok_or(Malformed)?;
        self.at += N;
        bytes.try_into().map_err(|_| Malformed)
    }

    fn word(&mut self) -> Result<u16, Malformed> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn name(&mut self) -> Result<Name, Malformed> {
        let (name, end) = Name::read(self.message, self.at)?;
        self.at = end;
        Ok(name)
    }

    fn question(&mut self) -> Result<Question, Malformed> {
        Ok(Question { name: self.name()?, kind: self.word()?, class: self.word()? & !CLASS_BIT })
    }

    fn raw(&mut self) -> Result<Raw, Malformed> {
        let (owner, kind, class) = (self.name()?, self.word()?, self.word()?);
        let ttl = self.bytes().map(u32::from_be_bytes)?;
        let length = usize::from(self.word()?);
        let at = self.at;
        self.message.get(at..at + length).ok_or(Malformed)?;
        self.at += length;
        Ok(Raw { owner, kind, class, ttl, at, length })
    }

    fn record(&mut self) -> Result<Record, Malformed> {
        let Raw { owner, kind, class, ttl, at, length } = self.raw()?;
        let of_internet = class & !CLASS_BIT == CLASS_IN;
        let data = match kind {
            TYPE_A if of_internet => Data::Address(IpAddr::V4(Ipv4Addr::from(self.whole(at, length)?))),
            TYPE_AAAA if of_internet => Data::Address(IpAddr::V6(Ipv6Addr::from(self.whole(at, length)?))),
            TYPE_CNAME => match Name::read(self.message, at)? {
                (name, end) if end == at + length => Data::Alias(name),
                _ => return Err(Malformed),
            },
            other => Data::Other(other),
        };
        Ok(Record { owner, ttl, data })
    }

    /// Data of just this many bytes.
    fn whole<const N: usize>(&self, at: usize, length: usize) -> Result<[u8; N], Malformed> {
        self.message[at..at + length].try_into().map_err(|_| Malformed)
    }
}

impl Message {
    /// Reads a whole message.
    ///
    /// # Errors
    /// It is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let (mut reader, mut message, counts) = Self::begin(bytes)?;
        message.go_on(&mut reader, counts)?;
        Ok(message)
    }

    /// Reads the beginning of a message, as far as it goes.
    ///
    /// # Errors
    /// The questions are not all there.
    pub fn read_cut(bytes: &[u8]) -> Result<Self, Malformed> {
        let (mut reader, mut message, counts) = Self::begin(bytes)?;
        // Where it is cut, the rest is not there.
        let _ = message.go_on(&mut reader, counts);
        Ok(message)
    }

    /// Header and questions, and how many records follow: answers, and others.
    fn begin(bytes: &[u8]) -> Result<(Reader<'_>, Self, (u16, u32)), Malformed> {
        let mut reader = Reader { message: bytes, at: 0 };
        let header: [u8; HEADER] = reader.bytes()?;
        let word = |place: usize| u16::from_be_bytes([header[place], header[place + 1]]);
        let mut message = Self {
            id: word(0),
            is_answer: header[2] & 0x80 != 0,
            operation: header[2] >> 3 & 0x0f,
            is_truncated: header[2] & 0x02 != 0,
            code: u16::from(header[3] & 0x0f),
            questions: SmallVec::new(),
            records: Vec::new(),
        };
        for place in 0..usize::from(word(4)) {
            let question = reader.question()?;
            if place < QUESTIONS_MOST {
                message.questions.push(question);
            }
        }
        Ok((reader, message, (word(6), u32::from(word(8)) + u32::from(word(10)))))
    }

    fn go_on(&mut self, reader: &mut Reader<'_>, (answers, others): (u16, u32)) -> Result<(), Malformed> {
        for _ in 0..answers {
            let record = reader.record()?;
            if self.records.len() < RECORDS_MOST {
                self.records.push(record);
            }
        }
        for _ in 0..others {
            let raw = reader.raw()?;
            if raw.kind == TYPE_OPT {
                // The upper eight bits of the code (RFC 6891).
                self.code = (raw.ttl >> 24 << 4) as u16 | self.code & 0x0f;
            }
        }
        Ok(())
    }

    /// The addresses of what was asked for, however many aliases lie between, and how long they hold.
    pub fn addresses(&self, asked: &Name) -> Vec<(IpAddr, u32)> {
        let mut names = vec![asked];
        let target = |name: &Name| {
            self.records.iter().find_map(|record| match &record.data {
                Data::Alias(alias) if record.owner == *name => Some(alias),
                _ => None,
            })
        };
        // Aliases of each other lead nowhere.
        while let Some(next) = target(names[names.len() - 1]).filter(|next| !names.contains(next)) {
            names.push(next);
        }
        let address = |record: &Record| match record.data {
            Data::Address(address) if names.contains(&&record.owner) => Some((address, record.ttl)),
            _ => None,
        };
        self.records.iter().filter_map(address).collect()
    }
}

#[cfg(test)]
mod tests;
