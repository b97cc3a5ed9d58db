//! Values as they lie in a message (RFC 7011, section 6), and as fields have them.

use crate::element::Type;
use crate::wire::put_variable;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use weir_record::{Direction, Field, FlowEndReason, Id, Kind, Text, Value, protocol_number, protocol_text};

const SECOND: u64 = 1_000_000_000;
/// Between 1900, where NTP begins to count, and 1970.
const NTP_TO_UNIX: u32 = 2_208_988_800;
/// RFC 7011's booleans.
const TRUE: u64 = 1;
const FALSE: u64 = 2;

/// The value that lies there; absent where it is an empty text. None where it is none of this type.
pub fn read(kind: Type, bytes: &[u8]) -> Option<Value<'_>> {
    Some(match kind {
        Type::Unsigned(_) => Value::Number(number(bytes)?),
        Type::Boolean => match number(bytes)? {
            TRUE => Value::Flag(true),
            FALSE => Value::Flag(false),
            _ => return None,
        },
        Type::Text => match String::from_utf8_lossy(bytes) {
            // A text of a length that the template gives is filled up.
            text if text.ends_with('\0') => {
                text_or_absent(Cow::Owned(text.trim_end_matches('\0').to_owned()))
            }
            text => text_or_absent(text),
        },
        Type::Ipv4 => Value::Address(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        Type::Ipv6 => Value::Address(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        Type::Seconds => Value::Time(number(bytes)?.checked_mul(SECOND)?),
        Type::Milliseconds => Value::Time(number(bytes)?.checked_mul(1_000_000)?),
        Type::Microseconds => Value::Time(from_ntp(bytes)?.saturating_add(500) / 1000 * 1000),
        Type::Nanoseconds => Value::Time(from_ntp(bytes)?),
    })
}

fn text_or_absent(text: Cow<'_, str>) -> Value<'_> {
    if text.is_empty() { Value::Absent } else { Value::Text(text.into()) }
}

/// A whole number in as many bytes as there are: fewer than its type has where it is small (section 6.2).
pub fn number(bytes: &[u8]) -> Option<u64> {
    let fits = !bytes.is_empty() && bytes.len() <= 8;
    fits.then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Nanoseconds since 1970, to the nearest, from seconds since 1900 and a fraction of 2^32. What is before 1970 is
/// after 2036: the seconds have begun anew then.
fn from_ntp(bytes: &[u8]) -> Option<u64> {
    let ntp = u64::from_be_bytes(bytes.try_into().ok()?);
    let (seconds, fraction) = ((ntp >> 32) as u32, ntp & u64::from(u32::MAX));
    let nanos = (fraction * SECOND + (1 << 31)) >> 32;
    Some(u64::from(seconds.wrapping_sub(NTP_TO_UNIX)) * SECOND + nanos)
}

/// The other way, rounded up, so that readers that round down have the same nanosecond. Until 2106.
fn to_ntp(nanos: u64) -> u64 {
    let (seconds, nanos) = (nanos / SECOND, nanos % SECOND);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).wrapping_add(NTP_TO_UNIX);
    u64::from(seconds) << 32 | (nanos << 32).div_ceil(SECOND)
}

/// Appends a value of this type. What is absent is a text without a letter.
pub fn put(out: &mut Vec<u8>, kind: Type, field: &Field, value: &Value<'_>) {
    match (kind, value) {
        (Type::Text, Value::Text(text)) => put_variable(out, text.as_bytes()),
        (Type::Text, _) => put_variable(out, &[]),
        (_, Value::Address(IpAddr::V4(address))) => out.extend(address.octets()),
        (_, Value::Address(IpAddr::V6(address))) => out.extend(address.octets()),
        (Type::Boolean, value) => out.push(if *value == Value::Flag(true) { TRUE } else { FALSE } as u8),
        (Type::Nanoseconds, value) => out.extend(to_ntp(code(field, value)).to_be_bytes()),
        (kind, value) => {
            let length = usize::from(kind.length()).min(8);
            // What does not fit is as much as does.
            let most = u64::MAX >> (64 - 8 * length);
            out.extend(&code(field, value).min(most).to_be_bytes()[8 - length..]);
        }
    }
}

/// The number that stands for a value.
fn code(field: &Field, value: &Value<'_>) -> u64 {
    match value {
        Value::Number(number) | Value::Time(number) | Value::Bits(number) | Value::Id(Id(number)) => *number,
        Value::Text(text) if field.name == "protocol" => protocol_number(text).map_or(0, u64::from),
        Value::Text(text) => {
            let (first, words) = words(field);
            words.iter().position(|word| **word == **text).map_or(0, |place| first + place as u64)
        }
        _ => 0,
    }
}

/// The value of a field that a message tells; none where the field has no such value.
pub fn of_field<'v>(field: &Field, value: Value<'v>) -> Option<Value<'v>> {
    let Value::Number(number) = value else { return Some(value) };
    Some(match (field.name, field.kind) {
        ("protocol", _) => Value::Text(protocol_text(u8::try_from(number).ok()?).into()),
        (_, Kind::Bits) => Value::Bits(number),
        ("flow_id" | "parent_id", _) => Value::Id(Id(number)),
        (_, Kind::Text) => {
            let (first, words) = words(field);
            let word = words.get(usize::try_from(number.checked_sub(first)?).ok()?)?;
            Value::Text(Text::Borrowed(word))
        }
        _ => Value::Number(number),
    })
}

/// The words for which numbers stand, and the number of the first.
fn words(field: &Field) -> (u64, &'static [&'static str]) {
    static DIRECTIONS: LazyLock<[&str; 2]> = LazyLock::new(|| Direction::ALL.map(Direction::as_str));
    static REASONS: LazyLock<[&str; 5]> = LazyLock::new(|| FlowEndReason::ALL.map(FlowEndReason::as_str));
    match field.name {
        "direction" => (0, &*DIRECTIONS),
        "biflow_direction" => (0, &["arbitrary", "initiator"]),
        "flow_end_reason" => (1, &*REASONS),
        _ => (0, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nanoseconds_survive(nanos in 0..=u64::from(u32::MAX) * SECOND + SECOND - 1) {
            prop_assert_eq!(from_ntp(&to_ntp(nanos).to_be_bytes()), Some(nanos));
            // Readers that cut off instead of rounding.
            prop_assert_eq!(((to_ntp(nanos) & 0xffff_ffff) * SECOND) >> 32, nanos % SECOND);
        }
    }

    #[test]
    fn times_of_all_kinds() {
        assert_eq!(read(Type::Seconds, &[0, 0, 0, 2]), Some(Value::Time(2 * SECOND)));
        assert_eq!(read(Type::Milliseconds, &3u64.to_be_bytes()), Some(Value::Time(3_000_000)));
        // One second and a half after the beginning of 1970.
        let ntp = (u64::from(NTP_TO_UNIX + 1) << 32 | 1 << 31).to_be_bytes();
        assert_eq!(read(Type::Nanoseconds, &ntp), Some(Value::Time(1_500_000_000)));
        assert_eq!(read(Type::Microseconds, &ntp), Some(Value::Time(1_500_000_000)));
        assert_eq!(read(Type::Nanoseconds, &ntp[..4]), None);
        assert_eq!(read(Type::Milliseconds, &[0xff; 8]), None);
    }

    #[test]
    fn texts_and_numbers_of_other_lengths() {
        assert_eq!(read(Type::Unsigned(8), &[1, 0]), Some(Value::Number(256)));
        assert_eq!(read(Type::Unsigned(8), &[]), None);
        assert_eq!(read(Type::Unsigned(2), &[0; 9]), None);
        assert_eq!(read(Type::Text, b"eth0\0\0\0\0"), Some(Value::Text("eth0".into())));
        assert_eq!(read(Type::Text, b"\xff"), Some(Value::Text("\u{fffd}".into())));
        assert_eq!(read(Type::Text, b""), Some(Value::Absent));
        assert_eq!((read(Type::Boolean, &[2]), read(Type::Boolean, &[0])), (Some(Value::Flag(false)), None));
        assert_eq!(read(Type::Ipv4, &[1, 2, 3]), None);
    }
}
