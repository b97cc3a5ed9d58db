//! Version 9 (RFC 3954): templates say what is in a record, as in IPFIX, which has come from it.

use super::clock::Clock;
use super::one_way::OneWay;
use crate::element::{Known, known};
use crate::encode::{Encode, Message, Messages, Outline, Progress, Refused, put_specifier};
use crate::wire::{FIRST_TEMPLATE, set_u16, set_u32};
use std::collections::HashMap;
use std::net::IpAddr;
use weir_record::{Direction, Field, FlowRecord, Value};

const VERSION: u16 = 9;
/// The set that holds templates (section 5.2).
const TEMPLATES: u16 = 0;
/// What a name of an interface has room in, with a zero behind it: IFNAMSIZ.
const NAME: u16 = 16;

/// What is written of a flow, in the order of its record: collectors know IANA's elements up to 127 by these numbers.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: u16,
    length: u16,
    /// What it says of a record.
    fields: &'static [&'static str],
    read: for<'r> fn(&OneWay<'r>) -> Value<'r>,
}

const fn row(
    id: u16,
    length: u16,
    fields: &'static [&'static str],
    read: for<'r> fn(&OneWay<'r>) -> Value<'r>,
) -> Row {
    Row { id, length, fields, read }
}

/// Without these it is no flow, and no longer than what fills a set up to a multiple of four.
const KEY: [u16; 5] = [4, 8, 12, 27, 28];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(8, 4, &["source_address"], |flow| v4(flow.ends().0)),
    row(12, 4, &["destination_address"], |flow| v4(flow.ends().1)),
    row(27, 16, &["source_address"], |flow| v6(flow.ends().0)),
    row(28, 16, &["destination_address"], |flow| v6(flow.ends().1)),
    row(4, 1, &["protocol"], |flow| number(flow.protocol)),
    row(7, 2, &["source_port"], |flow| flow.both_ports().map(|ports| ports.0).into()),
    row(11, 2, &["destination_port"], |flow| flow.both_ports().map(|ports| ports.1).into()),
    row(32, 2, &["icmp_type", "icmp_code"], |flow| flow.icmp_number().into()),
    row(2, 8, &["packets"], |flow| number(flow.count.packets)),
    row(1, 8, &["bytes"], |flow| number(flow.count.bytes)),
    row(22, 4, &["start"], |flow| Value::Time(flow.record.start)),
    row(21, 4, &["end"], |flow| Value::Time(flow.record.end)),
    row(6, 1, &["tcp_flags"], |flow| flow.flags_byte().into()),
    row(5, 1, &["dscp"], |flow| flow.class_of_service().into()),
    row(52, 1, &["min_ttl"], |flow| flow.ttl().map(|ttl| ttl.0).into()),
    row(53, 1, &["max_ttl"], |flow| flow.ttl().map(|ttl| ttl.1).into()),
    row(10, 4, &["interface_index"], |flow| number(flow.interfaces()[0])),
    row(14, 4, &["interface_index"], |flow| number(flow.interfaces()[1])),
    row(61, 1, &["direction"], |flow| number(u8::from(flow.direction == Direction::Egress))),
    row(82, NAME, &["interface"], |flow| Value::Text(flow.record.interface.name.as_str().into())),
    row(58, 2, &["vlan"], |flow| flow.record.key.vlan().into()),
    row(16, 4, &["source_as_number"], |flow| flow.systems[0].into()),
    row(17, 4, &["destination_as_number"], |flow| flow.systems[1].into()),
    row(34, 4, &["sampling_rate"], |flow| Some(flow.sampling_rate).filter(|rate| *rate > 1).into()),
];

fn number(number: impl Into<u64>) -> Value<'static> {
    Value::Number(number.into())
}

fn v4(address: IpAddr) -> Value<'static> {
    if address.is_ipv4() { Value::Address(address) } else { Value::Absent }
}

fn v6(address: IpAddr) -> Value<'static> {
    if address.is_ipv6() { Value::Address(address) } else { Value::Absent }
}

/// Every element that is written, and the fields that it tells.
pub fn elements() -> impl Iterator<Item = (&'static Known, &'static [&'static str])> {
    ROWS.iter().filter_map(|row| Some((known(0, row.id)?, row.fields)))
}

/// Which rows a flow has: a bit for each.
type Shape = u32;

/// A template's number, and whether it was said since it was last asked for.
#[derive(Debug, Clone, Copy)]
struct Template {
    id: u16,
    is_told: bool,
}

/// Makes messages of records, of those that are IP. A template stands before the first flow that needs it, and once more
/// after each [`renew`](Encode::renew), for those who may have lost it.
#[derive(Debug)]
pub struct NetFlow9 {
    rows: Vec<Row>,
    source_id: u32,
    usual: usize,
    time: u32,
    /// Messages before this one.
    sequence: u32,
    clock: Clock,
    templates: HashMap<Shape, Template>,
    message: Message,
    /// Those that are full.
    full: Messages,
    /// The latest time in it.
    latest: u32,
    /// The flow at hand.
    data: Vec<u8>,
}

impl NetFlow9 {
    /// Messages of this source id, of so many bytes as a rule: 512 or more.
    pub fn new(source_id: u32, usual: usize) -> Self {
        Self {
            rows: ROWS.to_vec(),
            source_id,
            usual,
            time: 0,
            sequence: 0,
            clock: Clock::default(),
            templates: HashMap::new(),
            message: Message::empty(Outline::NETFLOW9),
            full: Messages::default(),
            latest: 0,
            data: Vec::new(),
        }
    }

    /// Only these fields of each record, beside its addresses and protocol; those that are in no message
    /// ([`is_written`](Self::is_written)) are left out.
    #[must_use]
    pub fn of(mut self, fields: &[&Field]) -> Self {
        let is_asked = |row: &Row| fields.iter().any(|field| row.fields.contains(&field.name));
        self.rows.retain(|row| KEY.contains(&row.id) || is_asked(row));
        self
    }

    /// Whether a field has an element.
    pub fn is_written(field: &Field) -> bool {
        ROWS.iter().any(|row| row.fields.contains(&field.name))
    }

    /// Says what there is of a flow, and leaves it in `data`.
    fn lay(&mut self, flow: &OneWay<'_>) -> Shape {
        self.data.clear();
        let mut shape = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let value = (row.read)(flow);
            if value != Value::Absent {
                shape |= 1 << at;
                put(&mut self.data, row.length.into(), &value, self.clock);
            }
        }
        shape
    }

    /// The number of this shape's template, and whether that has to be said before.
    fn template_of(&mut self, shape: Shape) -> Template {
        let id = FIRST_TEMPLATE + self.templates.len() as u16;
        let template = self.templates.entry(shape).or_insert(Template { id, is_told: false });
        std::mem::replace(template, Template { is_told: true, ..*template })
    }

    /// Section 5.2.
    fn template(&self, shape: Shape, id: u16) -> Vec<u8> {
        let mut template = [id.to_be_bytes(), (shape.count_ones() as u16).to_be_bytes()].concat();
        let rows = self.rows.iter().enumerate().filter(|(at, _)| shape >> at & 1 == 1);
        rows.for_each(|(_, row)| put_specifier(&mut template, 0, row.id, row.length));
        template
    }

    /// Adds what fits in a message: where it does not fit in this one, that is full.
    fn put(&mut self, set: u16, record: &[u8]) {
        if self.message.len_with(set, record.len()) > self.usual {
            self.finish();
        }
        self.message.put(set, record);
    }

    fn add_flow(&mut self, flow: &OneWay<'_>) {
        let shape = self.lay(flow);
        let Template { id, is_told } = self.template_of(shape);
        if !is_told {
            let template = self.template(shape, id);
            self.put(TEMPLATES, &template);
        }
        let data = std::mem::take(&mut self.data);
        self.put(id, &data);
        self.data = data;
        self.latest = self.latest.max(self.clock.uptime(flow.record.start.max(flow.record.end)));
    }

    /// Nothing more comes into the message, where there is anything in it.
    fn finish(&mut self) {
        if self.message.is_empty() {
            return;
        }
        let [uptime, seconds] = self.clock.header(self.time, std::mem::take(&mut self.latest));
        let (sequence, source_id) = (self.sequence, self.source_id);
        self.message.end(&mut self.full, |bytes, records| {
            set_u16(bytes, 0, VERSION);
            set_u16(bytes, 2, (records.data + records.templates) as u16);
            for (at, value) in [(4, uptime), (8, seconds), (12, sequence), (16, source_id)] {
                set_u32(bytes, at, value);
            }
        });
        self.sequence = self.sequence.wrapping_add(1);
    }
}

impl Encode for NetFlow9 {
    fn set_time(&mut self, seconds: u32) {
        self.time = seconds;
        if self.message.is_empty() {
            self.clock.keep_up(seconds);
        }
    }

    fn set_usual(&mut self, bytes: usize) {
        self.usual = bytes;
    }

    fn renew(&mut self) {
        self.templates.values_mut().for_each(|template| template.is_told = false);
    }

    fn add(&mut self, record: &FlowRecord) -> Result<&[Vec<u8>], Refused> {
        self.full.clear();
        OneWay::both(record)?.for_each(|flow| self.add_flow(&flow));
        Ok(self.full.all())
    }

    fn end(&mut self) -> &[Vec<u8>] {
        self.full.clear();
        self.finish();
        self.full.all()
    }

    fn progress(&self) -> Progress {
        Progress::at(self.sequence)
    }

    fn go_back(&mut self, progress: Progress) {
        (self.sequence, self.latest) = (progress.sequence, 0);
        self.message.clear();
        self.renew();
    }
}

/// Appends a value in so many bytes.
fn put(out: &mut Vec<u8>, length: usize, value: &Value<'_>, clock: Clock) {
    let number = match value {
        Value::Address(IpAddr::V4(address)) => return out.extend(address.octets()),
        Value::Address(IpAddr::V6(address)) => return out.extend(address.octets()),
        Value::Text(text) => {
            let text = &text[..text.floor_char_boundary(length - 1)];
            out.extend(text.bytes());
            return out.resize(out.len() + length - text.len(), 0);
        }
        Value::Time(nanos) => clock.uptime(*nanos).into(),
        Value::Number(number) => *number,
        _ => 0,
    };
    // What does not fit is as much as does.
    let most = u64::MAX >> (64 - 8 * length);
    out.extend(&number.min(most).to_be_bytes()[8 - length..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::place;

    #[test]
    fn rows_are_of_elements_and_fields_that_there_are() {
        assert!(ROWS.len() <= Shape::BITS as usize);
        assert_eq!(elements().count(), ROWS.len());
        for row in ROWS {
            assert!(row.id <= 127 && row.fields.iter().all(|name| place(name).is_some()), "{row:?}");
            let length = known(0, row.id).map(|known| known.kind.length());
            // The flags had one byte then, and texts of a length of their own were not known.
            assert!(length == Some(row.length) || [6, 82].contains(&row.id), "{row:?} {length:?}");
        }
    }
}
