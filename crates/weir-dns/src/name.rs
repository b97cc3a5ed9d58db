//! Names of domains.

use crate::message::Malformed;
use smallvec::SmallVec;
use std::fmt::{self, Write};

/// Bytes of a name at most, with the length of each label and the root's (RFC 1035).
const LONGEST: usize = 255;
/// Characters of a name as text that are kept. No name is longer unless much of it has to be written as numbers.
const LONGEST_TEXT: usize = 255;
/// In the length of a label: the rest of the name is elsewhere.
const POINTER: u8 = 0xc0;

/// A name, in small letters: resolvers play with the case. Its labels lie one after the other, each behind its length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(SmallVec<[u8; 32]>);

impl Name {
    /// The name at `at` in a message, and where it ends there.
    pub(crate) fn read(message: &[u8], at: usize) -> Result<(Self, usize), Malformed> {
        let mut labels = SmallVec::new();
        let (mut from, mut next, mut end) = (at, at, None);
        loop {
            let length = *message.get(next).ok_or(Malformed)?;
            match length {
                0 => return Ok((Self(labels), end.unwrap_or(next + 1))),
                1..=63 => {
                    let label = message.get(next..next + 1 + usize::from(length)).ok_or(Malformed)?;
                    // The root takes one more.
                    if labels.len() + label.len() >= LONGEST {
                        return Err(Malformed);
                    }
                    labels.push(length);
                    labels.extend(label[1..].iter().map(u8::to_ascii_lowercase));
                    next += label.len();
                }
                POINTER.. => {
                    let low = *message.get(next + 1).ok_or(Malformed)?;
                    let to = usize::from(length & !POINTER) << 8 | usize::from(low);
                    // Only ever back: there is an end to it.
                    if to >= from {
                        return Err(Malformed);
                    }
                    end = end.or(Some(next + 2));
                    (from, next) = (to, to);
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// The bytes of each label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(label)
        })
    }
}

/// As zone files have it (RFC 4343): all of it is printable.
impl fmt::Display for Name {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (place, label) in self.labels().enumerate() {
            if place > 0 {
                text.push('.');
            }
            for byte in label {
                match byte {
                    b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                    b'!'..=b'~' => text.push(char::from(*byte)),
                    _ => write!(text, "\\{byte:03}")?,
                }
            }
        }
        if text.len() > LONGEST_TEXT {
            text.truncate(LONGEST_TEXT);
            text.push('…');
        }
        to.write_str(if text.is_empty() { "." } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8], at: usize) -> Result<(String, usize), Malformed> {
        Name::read(message, at).map(|(name, end)| (name.to_string(), end))
    }

    #[test]
    fn names_are_read_in_small_letters_and_by_pointers() {
        let message = b"\x03WwW\x07eXample\0\x04mail\xc0\x04\xc0\x0d";
        assert_eq!(read(message, 0), Ok(("www.example".into(), 13)));
        assert_eq!(read(message, 13), Ok(("mail.example".into(), 20)));
        assert_eq!(read(message, 20), Ok(("mail.example".into(), 22)));
        assert_eq!(read(b"\0", 0), Ok((".".into(), 1)));
    }

    #[test]
    fn circles_and_what_is_missing_are_malformed() {
        for (message, at) in [
            (&b"\xc0\x00"[..], 0),
            (b"\x01a\xc0\x00", 0),
            (b"\xc0\x02\xc0\x00", 2),
            (b"\xc0", 0),
            (b"\x03ab", 0),
            (b"\x01a", 0),
            (b"\x41a\0", 0),
            (b"", 0),
            (b"\0", 7),
        ] {
            assert_eq!(read(message, at), Err(Malformed), "{message:?}");
        }
    }

    #[test]
    fn a_name_has_255_bytes_at_most() {
        let labels = |lengths: &[usize]| {
            let mut message: Vec<u8> = Vec::new();
            for length in lengths {
                message.push(*length as u8);
                message.extend(vec![b'a'; *length]);
            }
            message.push(0);
            message
        };
        let longest = labels(&[63, 63, 63, 61]);
        assert_eq!(longest.len(), LONGEST);
        assert!(read(&longest, 0).is_ok_and(|(name, _)| name.len() == 253));
        assert_eq!(read(&labels(&[63, 63, 63, 62]), 0), Err(Malformed));
    }

    #[test]
    fn all_of_a_name_is_printable() {
        let (text, _) = read(b"\x04\x1b[2J\x04a.b\\\x03\xff\n\"\x05caf\xc3\xa9\0", 0).expect("a name");
        assert_eq!(text, r#"\027[2j.a\.b\\.\255\010".caf\195\169"#);
        let mut long: Vec<u8> = [&[63][..], &[0x80; 63]].concat().repeat(3);
        long.push(0);
        let (text, _) = read(&long, 0).expect("a name");
        assert!(text.ends_with('…') && text.chars().count() == 256, "{text}");
    }
}
