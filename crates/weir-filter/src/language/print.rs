//! The tree back to text that parses to the same tree.

use super::domain::{Domain, TCP_FLAGS};
use super::literals::{BINARY, DECIMAL, LENGTHS, is_glob};
use super::tokens::is_plain;
use crate::expression::{AddressSet, Bits, Check, Expression, Pattern, Test};
use crate::spans::Spans;
use crate::subject::{Sort, Testable};
use jiff::Timestamp;
use std::fmt::{self, Display, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_record::{Unit, protocol_name, set_bits};

impl<S: Testable> Display for Expression<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(any) => joined(f, any, " or "),
            Self::And(all) => joined(f, all, " and "),
            Self::Not(inner) => match &**inner {
                Self::Test(test) => match comparison(test) {
                    Comparison::Equal(value) => write!(f, "{} != {value}", test.subject.name()),
                    _ => write!(f, "not {test}"),
                },
                group => write!(f, "not ({group})"),
            },
            Self::Test(test) => test.fmt(f),
        }
    }
}

fn joined<S: Testable>(f: &mut fmt::Formatter<'_>, parts: &[Expression<S>], between: &str) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        match part {
            Expression::Or(_) => write!(f, "({part})")?,
            _ => part.fmt(f)?,
        }
    }
    Ok(())
}

impl<S: Testable> Display for Test<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.subject.name();
        match comparison(self) {
            Comparison::Bare => f.write_str(name),
            Comparison::Equal(value) => write!(f, "{name} == {value}"),
            Comparison::Other(rest) => write!(f, "{name} {rest}"),
        }
    }
}

/// What is written behind a field's name.
enum Comparison {
    /// Nothing.
    Bare,
    /// `==`, or `!=` for the opposite, and this.
    Equal(String),
    /// This.
    Other(String),
}

fn comparison(test: &Test<impl Testable>) -> Comparison {
    let sort = test.subject.sort();
    match &test.check {
        Check::Absent => Comparison::Equal("null".into()),
        Check::Flag(true) => Comparison::Bare,
        Check::Flag(false) => Comparison::Equal("false".into()),
        Check::Within(spans) => within(sort, spans),
        Check::Addresses(set) => members(address_items(set), is_one_address(set)),
        Check::Text(patterns) => members(patterns.iter().map(pattern).collect(), true),
        Check::Bits(Bits::Exactly, mask) => Comparison::Equal(bits(sort, *mask)),
        Check::Bits(Bits::All, mask) => Comparison::Other(format!("has {}", bits(sort, *mask))),
        Check::Bits(Bits::Any, mask) => Comparison::Other(format!("in {}", bits(sort, *mask))),
    }
}

/// Membership; of one value alone, equality.
fn members(mut items: Vec<String>, is_one: bool) -> Comparison {
    if is_one && items.len() == 1 {
        Comparison::Equal(items.remove(0))
    } else {
        Comparison::Other(format!("in {}", items.join(",")))
    }
}

fn within(sort: Sort, spans: &Spans<u64>) -> Comparison {
    match Domain::of(sort) {
        Domain::Protocol => {
            let is_one = spans.iter().all(|(first, last)| first == last);
            members(items(spans, protocol, |first, last| format!("{first}-{last}")), is_one)
        }
        Domain::Time => ordered(spans, u64::MAX, '/', time),
        Domain::Number(most, unit) => ordered(spans, most, '-', |number| with_suffix(number, unit)),
        _ => ordered(spans, u64::MAX, '-', |number| number.to_string()),
    }
}

/// A set of numbers as the shortest comparison.
fn ordered(spans: &Spans<u64>, most: u64, dash: char, show: impl Fn(u64) -> String) -> Comparison {
    let ranges: Vec<_> = spans.iter().collect();
    let shorter =
        |one: String, other: String| Comparison::Other(if other.len() < one.len() { other } else { one });
    match *ranges {
        [] => Comparison::Other(format!("< {}", show(0))),
        [(first, last)] if first == last => Comparison::Equal(show(first)),
        [(0, u64::MAX)] => Comparison::Other(format!(">= {}", show(0))),
        [(0, last)] if last < most => shorter(format!("<= {}", show(last)), format!("< {}", show(last + 1))),
        [(0, last)] => Comparison::Other(format!("<= {}", show(last))),
        [(first, u64::MAX)] if first <= most => {
            shorter(format!(">= {}", show(first)), format!("> {}", show(first - 1)))
        }
        [(first, u64::MAX)] => Comparison::Other(format!("> {}", show(first - 1))),
        _ => {
            let range = |first, last| format!("{}{dash}{}", show(first), show(last));
            Comparison::Other(format!("in {}", items(spans, &show, range).join(",")))
        }
    }
}

/// Each range; two neighbours as two.
fn items(spans: &Spans<u64>, one: impl Fn(u64) -> String, range: impl Fn(u64, u64) -> String) -> Vec<String> {
    let mut items = Vec::new();
    for (first, last) in spans.iter() {
        match last - first {
            0 => items.push(one(first)),
            1 => items.extend([one(first), one(last)]),
            _ => items.push(range(first, last)),
        }
    }
    items
}

fn protocol(number: u64) -> String {
    let name = u8::try_from(number).ok().and_then(protocol_name);
    name.map_or_else(|| number.to_string(), String::from)
}

fn with_suffix(number: u64, unit: Unit) -> String {
    let suffixes = match unit {
        Unit::Bytes => [DECIMAL, BINARY].concat(),
        Unit::Packets => DECIMAL.to_vec(),
        Unit::Microseconds => LENGTHS.to_vec(),
        Unit::None | Unit::Time => Vec::new(),
    };
    let whole = suffixes.iter().filter(|(_, factor)| number > 0 && number.is_multiple_of(*factor));
    let shortened = whole.map(|(suffix, factor)| format!("{}{suffix}", number / factor));
    shortened.chain([number.to_string()]).min_by_key(String::len).unwrap_or_default()
}

fn time(nanos: u64) -> String {
    Timestamp::from_nanosecond(nanos.into()).map_or_else(|_| nanos.to_string(), |time| time.to_string())
}

/// Each range as an address, a network, or its first and last address.
fn address_items(set: &AddressSet) -> Vec<String> {
    let v4 = set.v4.iter().map(|(first, last)| {
        let hosts = first ^ last;
        let network = (hosts.leading_zeros() + hosts.trailing_ones() == 32 && first & hosts == 0)
            .then(|| hosts.leading_zeros());
        address_item(Ipv4Addr::from(first), Ipv4Addr::from(last), network, 32)
    });
    let v6 = set.v6.iter().map(|(first, last)| {
        let hosts = first ^ last;
        let network = (hosts.leading_zeros() + hosts.trailing_ones() == 128 && first & hosts == 0)
            .then(|| hosts.leading_zeros());
        address_item(Ipv6Addr::from(first), Ipv6Addr::from(last), network, 128)
    });
    v4.chain(v6).collect()
}

fn is_one_address(set: &AddressSet) -> bool {
    set.v4.iter().all(|(first, last)| first == last) && set.v6.iter().all(|(first, last)| first == last)
}

fn address_item<A: Display>(first: A, last: A, network: Option<u32>, whole: u32) -> String {
    match network {
        Some(length) if length == whole => first.to_string(),
        Some(length) => format!("{first}/{length}"),
        None => format!("{first}-{last}"),
    }
}

fn pattern(pattern: &Pattern) -> String {
    let text = match pattern {
        Pattern::Glob(glob) => return glob.as_str().into(),
        Pattern::Exact(text) => text,
    };
    let is_bare = !text.is_empty() && text.chars().all(is_plain) && !is_glob(text);
    if is_bare && !text.eq_ignore_ascii_case("null") {
        return text.clone();
    }
    let mut quoted = String::from('"');
    for one in text.chars() {
        if matches!(one, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(one);
    }
    quoted + "\""
}

fn bits(sort: Sort, mask: u64) -> String {
    if Domain::of(sort) != Domain::TcpFlags {
        return listed(set_bits(mask));
    }
    let named = TCP_FLAGS.iter().fold(0, |all, flag| all | flag.1);
    if mask == 0 || mask & !named != 0 {
        return format!("{mask:#x}");
    }
    listed(TCP_FLAGS.iter().filter(|flag| mask & flag.1 != 0).map(|flag| flag.0))
}

fn listed<T: Display>(items: impl Iterator<Item = T>) -> String {
    let mut list = String::new();
    for item in items {
        let comma = if list.is_empty() { "" } else { "," };
        let _ = write!(list, "{comma}{item}");
    }
    list
}
