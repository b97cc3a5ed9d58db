//! A column of flow records as it grows.

use crate::Result;
use crate::columns::{Growing, written};
use crate::compact::narrowed;
use crate::observations::told;
use arrow_array::builder::StringBuilder;
use arrow_array::types::{ArrowDictionaryKeyType, UInt8Type, UInt16Type, UInt32Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, TimestampNanosecondArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use weir_record::{Field, FlowRecord, Id, Kind, Text, Value};

/// What records have in a field, so many of them; none where none of them has anything.
///
/// # Errors
/// Arrow does not take what was made.
pub(super) fn column<'r>(
    field: &Field,
    records: impl Iterator<Item = &'r FlowRecord>,
    rows: usize,
) -> Result<Option<ArrayRef>> {
    let read = match field.kind {
        Kind::Observations => told,
        _ => field.read,
    };
    let (mut values, mut absent) = (records.map(read), 0);
    let first = values.find(|value| {
        let is_absent = matches!(value, Value::Absent);
        absent += usize::from(is_absent);
        !is_absent
    });
    let Some(first) = first else { return Ok(None) };
    // All values of a field are of one sort.
    Ok(match first {
        Value::Number(_) | Value::Id(_) | Value::Bits(_) => {
            let numbers = Numbers::of(values, first, (absent, rows));
            Some(narrowed(&numbers.values, numbers.there.nulls()))
        }
        Value::Time(_) => {
            let numbers = Numbers::of(values, first, (absent, rows));
            // Arrow's end in the year 2262.
            let times = numbers.values.iter().map(|nanos| i64::try_from(*nanos).unwrap_or(i64::MAX));
            let times: Vec<_> = times.collect();
            let times = TimestampNanosecondArray::new(times.into(), numbers.there.nulls());
            Some(Arc::new(times.with_timezone("UTC")))
        }
        Value::Text(_) | Value::Address(_) => Some(Texts::of(values, first, (absent, rows)).finish()?),
        Value::Absent | Value::Flag(_) | Value::Observations(_) => {
            let mut growing = Growing::new(field.kind);
            (0..absent).for_each(|_| growing.push(Value::Absent));
            growing.push(first);
            values.for_each(|value| growing.push(value));
            growing.finish()
        }
    })
}

struct Numbers {
    values: Vec<u64>,
    there: There,
}

impl Numbers {
    fn of<'r>(
        rest: impl Iterator<Item = Value<'r>>,
        first: Value<'r>,
        (absent, rows): (usize, usize),
    ) -> Self {
        let mut values = Vec::with_capacity(rows);
        values.resize(absent, 0);
        let mut numbers = Self { values, there: There::begin(absent, rows) };
        numbers.push(&first);
        rest.for_each(|value| numbers.push(&value));
        numbers
    }

    fn push(&mut self, value: &Value<'_>) {
        let number = match value {
            Value::Number(number) | Value::Id(Id(number)) | Value::Time(number) | Value::Bits(number) => {
                Some(*number)
            }
            _ => None,
        };
        self.values.push(number.unwrap_or(0));
        self.there.0.push(number.is_some());
    }
}

/// Which rows have anything.
struct There(Vec<bool>);

impl There {
    fn begin(absent: usize, rows: usize) -> Self {
        let mut there = Vec::with_capacity(rows);
        there.resize(absent, false);
        Self(there)
    }

    fn nulls(&self) -> Option<NullBuffer> {
        let there = || NullBuffer::new(BooleanBuffer::collect_bool(self.0.len(), |row| self.0[row]));
        self.0.contains(&false).then(there)
    }
}

/// A column of texts as it grows: those that there are, and which of them each row has.
struct Texts<'r> {
    /// Some that were there, by where they lie in memory: all records of a process share its name, and then there is no
    /// need to look at it again.
    places: [Option<(&'r str, u32)>; PLACES],
    texts: HashMap<Cow<'r, str>, u32>,
    v4: HashMap<u32, u32>,
    v6: HashMap<u128, u32>,
    values: StringBuilder,
    count: u32,
    keys: Vec<u32>,
    there: There,
}

const PLACES: usize = 128;

impl<'r> Texts<'r> {
    fn of(rest: impl Iterator<Item = Value<'r>>, first: Value<'r>, (absent, rows): (usize, usize)) -> Self {
        let mut keys = Vec::with_capacity(rows);
        keys.resize(absent, 0);
        let mut texts = Self {
            places: [None; PLACES],
            texts: HashMap::new(),
            v4: HashMap::new(),
            v6: HashMap::new(),
            // What grows is kept for minutes, and most batches are small.
            values: StringBuilder::with_capacity(0, 0),
            count: 0,
            keys,
            there: There::begin(absent, rows),
        };
        texts.push(first);
        rest.for_each(|value| texts.push(value));
        texts
    }

    fn push(&mut self, value: Value<'r>) {
        let key = match value {
            Value::Text(Text::Borrowed(text)) => Some(self.shared(text)),
            Value::Text(text) => Some(self.text(Cow::Owned(text.into_owned()))),
            Value::Address(address) => Some(self.address(address)),
            _ => None,
        };
        self.keys.push(key.unwrap_or(0));
        self.there.0.push(key.is_some());
    }

    fn shared(&mut self, text: &'r str) -> u32 {
        let address = text.as_ptr().addr();
        let place = (address >> 4 ^ address >> 11) % PLACES;
        match self.places[place] {
            Some((known, key)) if std::ptr::eq(known, text) => key,
            _ => {
                let key = self.text(Cow::Borrowed(text));
                self.places[place] = Some((text, key));
                key
            }
        }
    }

    fn text(&mut self, text: Cow<'r, str>) -> u32 {
        if let Some(key) = self.texts.get(&text) {
            return *key;
        }
        self.values.append_value(&text);
        self.count += 1;
        self.texts.insert(text, self.count - 1);
        self.count - 1
    }

    fn address(&mut self, address: IpAddr) -> u32 {
        let enter = || {
            written(&mut self.values, format_args!("{address}"));
            self.count += 1;
            self.count - 1
        };
        match address {
            IpAddr::V4(address) => *self.v4.entry(address.to_bits()).or_insert_with(enter),
            IpAddr::V6(address) => *self.v6.entry(address.to_bits()).or_insert_with(enter),
        }
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let mut values = self.values.finish();
        values.shrink_to_fit();
        let values: ArrayRef = Arc::new(values);
        let (keys, nulls) = (self.keys, self.there.nulls());
        match values.len() {
            ..=0x100 => keyed::<UInt8Type>(keys.into_iter().map(|key| key as u8), nulls, values),
            0x101..=0x1_0000 => keyed::<UInt16Type>(keys.into_iter().map(|key| key as u16), nulls, values),
            _ => keyed::<UInt32Type>(keys.into_iter(), nulls, values),
        }
    }
}

fn keyed<K: ArrowDictionaryKeyType>(
    keys: impl Iterator<Item = K::Native>,
    nulls: Option<NullBuffer>,
    values: ArrayRef,
) -> Result<ArrayRef> {
    let keys = PrimitiveArray::<K>::new(keys.collect::<Vec<_>>().into(), nulls);
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}
