//! The typed tree that a filter is: every name and value in it is resolved.

use crate::spans::Spans;
use crate::subject::{Subject, Testable};
use std::net::IpAddr;
use weir_record::{Value, protocol_number};

/// A filter as a tree, of records or of events. What is built by parsing is flat (no `And` in an `And`, no `Or` in
/// an `Or`) and never negates twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression<S = Subject> {
    /// All of them, at least two.
    And(Vec<Expression<S>>),
    /// Any of them, at least two.
    Or(Vec<Expression<S>>),
    /// All but those that match this.
    Not(Box<Expression<S>>),
    /// One test of one field.
    Test(Test<S>),
}

impl<S: Testable> Expression<S> {
    /// Whether a record, or an event, matches.
    pub fn matches(&self, asked: &S::Asked) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches(asked)),
            Self::Or(any) => any.iter().any(|one| one.matches(asked)),
            Self::Not(inner) => !inner.matches(asked),
            Self::Test(test) => test.subject.fits(asked, &test.check),
        }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(crate) fn all(parts: Vec<Self>) -> Self {
        flat(parts, Self::And, |part| match part {
            Self::And(inner) => Ok(inner),
            other => Err(other),
        })
    }

    pub(crate) fn any(parts: Vec<Self>) -> Self {
        flat(parts, Self::Or, |part| match part {
            Self::Or(inner) => Ok(inner),
            other => Err(other),
        })
    }
}

/// The parts of one that is joined in a certain way, or what is not.
type Opened<S> = Result<Vec<Expression<S>>, Expression<S>>;

/// Joins parts, and the parts of those that are joined the same way.
fn flat<S>(
    parts: Vec<Expression<S>>,
    join: fn(Vec<Expression<S>>) -> Expression<S>,
    open: fn(Expression<S>) -> Opened<S>,
) -> Expression<S> {
    let mut joined = Vec::with_capacity(parts.len());
    for part in parts {
        match open(part) {
            Ok(inner) => joined.extend(inner),
            Err(whole) => joined.push(whole),
        }
    }
    if joined.len() == 1 { joined.remove(0) } else { join(joined) }
}

/// One test of one field, or of the same field of either end.
#[derive(Debug, Clone)]
pub struct Test<S = Subject> {
    /// What is tested.
    pub subject: S,
    /// What it is tested for.
    pub check: Check,
    /// Where it stands in the text.
    pub column: usize,
}

/// Two tests are equal that ask the same, wherever they stand.
impl<S: PartialEq> PartialEq for Test<S> {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject && self.check == other.check
    }
}

/// What a value is tested for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// It is not there.
    Absent,
    /// A number, a time in nanoseconds or a protocol's number is in the set.
    Within(Spans<u64>),
    /// An address is in the set.
    Addresses(AddressSet),
    /// A text fits one of these.
    Text(Vec<Pattern>),
    /// Bits are set in a set of bits.
    Bits(Bits, u64),
    /// Yes or no.
    Flag(bool),
}

/// How bits are compared with a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bits {
    /// All of the mask are set.
    All,
    /// At least one of the mask is set.
    Any,
    /// Those of the mask are set, and no other.
    Exactly,
}

impl Check {
    /// Whether a value passes. A value that is absent, or of another kind, passes no comparison.
    pub fn fits(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Absent, Value::Absent) => true,
            (Self::Within(spans), Value::Number(number) | Value::Time(number)) => spans.contains(*number),
            (Self::Within(spans), Value::Text(name)) => {
                protocol_number(name).is_some_and(|number| spans.contains(number.into()))
            }
            (Self::Addresses(set), Value::Address(address)) => set.contains(*address),
            (Self::Text(patterns), Value::Text(text)) => patterns.iter().any(|one| one.fits(text)),
            (Self::Text(patterns), Value::Id(id)) => {
                let text = id.to_string();
                patterns.iter().any(|one| one.fits(&text))
            }
            (Self::Bits(how, mask), Value::Number(bits) | Value::Bits(bits)) => match how {
                Bits::All => bits & mask == *mask,
                Bits::Any => bits & mask != 0,
                Bits::Exactly => bits == mask,
            },
            (Self::Flag(wanted), Value::Flag(flag)) => wanted == flag,
            _ => false,
        }
    }
}

/// A set of IP addresses of both families.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressSet {
    /// IPv4.
    pub v4: Spans<u32>,
    /// IPv6.
    pub v6: Spans<u128>,
}

impl AddressSet {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.into()),
            IpAddr::V6(address) => self.v6.contains(address.into()),
        }
    }
}

/// What a text is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// This text.
    Exact(String),
    /// What the glob fits.
    Glob(glob::Pattern),
}

impl Pattern {
    /// Whether a text fits.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Glob(glob) => glob.matches(text),
        }
    }
}
