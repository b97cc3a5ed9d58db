//! `AnyValue`: what an attribute holds.

use crate::protobuf::Message;
use jiff::Timestamp;
use std::fmt::Display;
use weir_record::{Layer, Observation, Text, Value, set_bits};

/// The kinds of `AnyValue` that Weir has.
const TEXT: u32 = 1;
const FLAG: u32 = 2;
const INTEGER: u32 = 3;
const ARRAY: u32 = 5;
const LIST: u32 = 6;

/// A `KeyValue`, in a field of this number: a name, and the `AnyValue` that is written.
pub fn put_pair(message: &mut Message<'_>, number: u32, name: &str, fill: impl FnOnce(&mut Message<'_>)) {
    message.message(number, |pair| {
        pair.bytes(1, name);
        pair.message(2, fill);
    });
}

/// What a field holds, as it is in JSON: numbers as numbers, times and addresses as text.
pub fn put_value(any: &mut Message<'_>, value: &Value<'_>) {
    match value {
        Value::Absent => {}
        Value::Number(number) => put_number(any, *number),
        Value::Text(text) => any.bytes(TEXT, text.as_bytes()),
        Value::Id(id) => put_text(any, id),
        Value::Address(address) => put_text(any, address),
        // Every u64 is a time before the year 2555.
        Value::Time(nanos) => {
            let time = Timestamp::from_nanosecond(i128::from(*nanos)).unwrap_or_default();
            put_text(any, format_args!("{time:.9}"));
        }
        Value::Flag(flag) => any.number(FLAG, u64::from(*flag)),
        Value::Bits(bits) => any.message(ARRAY, |array| {
            set_bits(*bits).for_each(|bit| array.message(1, |any| put_number(any, bit.into())));
        }),
        Value::Observations(observations) => any.message(ARRAY, |array| {
            for observation in *observations {
                array.message(1, |any| any.message(LIST, |list| put_observation(list, observation)));
            }
        }),
    }
}

/// A text.
pub fn put_text(any: &mut Message<'_>, text: impl Display) {
    any.text(TEXT, text);
}

/// An `int64` where it is one, else its digits ("Mapping Arbitrary Data to OTLP AnyValue").
fn put_number(any: &mut Message<'_>, number: u64) {
    match i64::try_from(number) {
        Ok(_) => any.number(INTEGER, number),
        Err(_) => put_text(any, number),
    }
}

/// By the names that it has in JSON.
fn put_observation(list: &mut Message<'_>, observation: &Observation) {
    let text = |text| Value::Text(Text::Borrowed(text));
    for (name, value) in [
        ("netns", text(&*observation.interface.netns)),
        ("interface", text(&*observation.interface.name)),
        ("interface_index", Value::Number(observation.interface.index.into())),
        ("direction", text(observation.direction.as_str())),
        ("decapsulated", Value::Flag(observation.layer == Layer::Inner)),
        ("vlan", observation.vlan.into()),
        ("translated", Value::Flag(observation.translated)),
        ("reverse", Value::Flag(observation.reverse)),
        ("packets", Value::Number(observation.count.packets)),
        ("bytes", Value::Number(observation.count.bytes)),
    ] {
        if value == Value::Absent {
            continue;
        }
        put_pair(list, 1, name, |any| put_value(any, &value));
    }
}
