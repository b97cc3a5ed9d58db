//! What one record holds in one field.

use crate::Observation;
use crate::community_id::CommunityId;
use jiff::Timestamp;
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

/// What one record holds in one field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// The field does not apply to this record.
    Absent,
    /// A number.
    Number(u64),
    /// A word.
    Text(Text<'a>),
    /// A word of sixteen hexadecimal digits.
    Id(Id),
    /// An IP address.
    Address(IpAddr),
    /// Nanoseconds since the Unix epoch.
    Time(u64),
    /// Yes or no.
    Flag(bool),
    /// The numbers of the bits that are set.
    Bits(u64),
    /// What each observation point has counted.
    Observations(&'a [Observation]),
}

/// A text: of the record, or made for who reads it.
#[derive(Clone)]
pub enum Text<'a> {
    /// Of the record, or of the program.
    Borrowed(&'a str),
    /// Put together.
    Owned(String),
    /// Put together where it stands: most records are asked for theirs.
    CommunityId(CommunityId),
}

impl Text<'_> {
    /// The text by itself.
    pub fn into_owned(self) -> String {
        if let Self::Owned(text) = self { text } else { self.as_ref().to_owned() }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
            Self::CommunityId(id) => id.as_str(),
        }
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, out)
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text)
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Owned(text),
        }
    }
}

/// A number that records know each other by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub u64);

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// The numbers of the bits that are set.
pub fn set_bits(bits: u64) -> impl Iterator<Item = u8> {
    let rest = move |bits: &u64| Some(bits & (bits - 1)).filter(|rest| *rest != 0);
    std::iter::successors(Some(bits).filter(|bits| *bits != 0), rest).map(|bits| bits.trailing_zeros() as u8)
}

impl<T: Into<u64>> From<Option<T>> for Value<'_> {
    fn from(number: Option<T>) -> Self {
        number.map_or(Self::Absent, |number| Self::Number(number.into()))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Id(id) => serializer.collect_str(id),
            Self::Address(address) => serializer.collect_str(address),
            Self::Time(nanos) => match Timestamp::from_nanosecond(i128::from(*nanos)) {
                Ok(time) => serializer.collect_str(&format_args!("{time:.9}")),
                Err(_) => serializer.serialize_none(),
            },
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Bits(bits) => serializer.collect_seq(set_bits(*bits)),
            Self::Observations(observations) => serializer.collect_seq(*observations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns are made of them.
    #[test]
    fn a_value_is_four_words() {
        assert_eq!(size_of::<Value<'_>>(), 32);
    }
}
