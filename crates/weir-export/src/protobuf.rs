//! Protobuf, as its wire format has it (protobuf.dev, "Encoding"): messages written into one buffer, and read from bytes
//! that may be anything.
//!
//! A message within a message stands behind its length, which is known only at its end. One byte is set aside for it; where
//! that is not enough, what was written moves. Nothing is allocated but the buffer.

use std::fmt::Display;
use std::io::Write;

/// Its media type.
pub const MEDIA_TYPE: &str = "application/x-protobuf";

/// How a value is told from the next (the wire types; those of groups are gone).
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is being written, at the end of a buffer.
pub struct Message<'b>(pub &'b mut Vec<u8>);

/// A message within another that has begun: where its content does.
#[must_use = "it has to be closed"]
#[derive(Debug, Clone, Copy)]
pub struct Open(usize);

impl Message<'_> {
    /// An `int64`, `uint64`, `bool` or `enum`, or one of fewer bits. What is negative is of 64 bits (two's complement).
    #[inline]
    pub fn number(&mut self, field: u32, value: u64) {
        self.head(field, VARINT, value);
    }

    /// A `fixed64`.
    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A `fixed32`.
    pub fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Of `fixed64` as many as there are, or of `double` by their bits.
    pub fn packed64(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        self.message(field, |packed| {
            values.for_each(|value| packed.0.extend_from_slice(&value.to_le_bytes()))
        });
    }

    /// A `string` or `bytes`.
    #[inline]
    pub fn bytes(&mut self, field: u32, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.head(field, LENGTH, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A `string` of what is shown.
    pub fn text(&mut self, field: u32, value: impl Display) {
        let open = self.open(field);
        // A buffer in memory takes everything.
        let _ = write!(self.0, "{value}");
        self.close(open);
    }

    /// A message.
    #[inline]
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Message<'_>)) {
        let open = self.open(field);
        fill(self);
        self.close(open);
    }

    /// Begins one that is written over several calls.
    #[inline]
    pub fn open(&mut self, field: u32) -> Open {
        self.head(field, LENGTH, 0);
        Open(self.0.len())
    }

    /// Ends the one that was begun last.
    #[inline]
    pub fn close(&mut self, open: Open) {
        let Open(start) = open;
        let end = self.0.len();
        let length = end - start;
        if length < 0x80 {
            self.0[start - 1] = length as u8;
        } else {
            self.close_long(start, length);
        }
    }

    #[cold]
    fn close_long(&mut self, start: usize, length: usize) {
        let end = start + length;
        self.0[start - 1] = length as u8 | 0x80;
        // The rest of the length comes to stand behind the content, and is turned before it.
        self.varint(length as u64 >> 7);
        let more = self.0.len() - end;
        self.0[start..].rotate_right(more);
    }

    /// A tag, and the number behind it. Nearly always both are of one byte: then they are written at once.
    #[inline]
    fn head(&mut self, field: u32, kind: u64, number: u64) {
        let tag = u64::from(field) << 3 | kind;
        if tag < 0x80 && number < 0x80 {
            self.0.extend_from_slice(&[tag as u8, number as u8]);
        } else {
            self.varint(tag);
            self.varint(number);
        }
    }

    #[inline]
    fn tag(&mut self, field: u32, kind: u64) {
        self.varint(u64::from(field) << 3 | kind);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What one field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A number of any of the kinds whose length varies.
    Number(u64),
    /// A string, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Eight bytes.
    Fixed64(u64),
    /// Four.
    Fixed32(u32),
}

/// It is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Reads the fields of a message in their order, until its end or what is none; bytes that are no message are one error.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of a message of these bytes.
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Option<(u32, Content<'a>)> {
        let tag = self.varint()?;
        let field = u32::try_from(tag >> 3).ok().filter(|field| *field > 0)?;
        let content = match tag & 7 {
            VARINT => Content::Number(self.varint()?),
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                Content::Bytes(self.take(length)?)
            }
            FIXED64 => Content::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            FIXED32 => Content::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((field, content))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Ten bytes at most, of which the last has one bit.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for at in 0..10 {
            let byte = *self.0.split_off_first()?;
            if at == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Content<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests;
