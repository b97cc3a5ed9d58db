//! One record of a message, and what of a flow it tells.

use super::tally::{Cause, Tally};
use super::template::{Template, Use};
use crate::element::{Hint, place};
use crate::value::{number, of_field, read};
use crate::wire::Bytes;
use weir_record::{FIELDS, Field, FlowRecord, Value};

/// What a record does not say itself.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// When its message was sent, in nanoseconds since the epoch.
    pub sent: u64,
    /// When the exporter's own clock began.
    pub boot: Option<u64>,
}

/// The time of an uptime that has begun anew any number of times: flows are sent soon after their end. One from before
/// the exporter began is as one that has begun anew.
fn nearest(time: u64, sent: u64) -> u64 {
    let away = i128::from(sent) - i128::from(time);
    let rounds = (away + UPTIME / 2).div_euclid(UPTIME);
    u64::try_from(i128::from(time) + rounds * UPTIME).unwrap_or(time)
}

/// What a record tells.
#[derive(Default)]
pub struct Flow<'b> {
    values: Vec<(&'static Field, Value<'b>)>,
    hints: Vec<(Hint, u64)>,
    ingress: Option<u64>,
    egress: Option<u64>,
    icmp: Option<u64>,
    class_of_service: Option<u64>,
}

const MILLISECOND: u64 = 1_000_000;
const MICROSECOND: u64 = 1_000;
/// Milliseconds of uptime are told in 32 bits, and begin anew after 49.7 days.
const UPTIME: i128 = (1 << 32) * MILLISECOND as i128;

impl<'b> Flow<'b> {
    /// Takes one record from the front of `bytes`. None where it is cut short.
    pub fn read(template: &Template, bytes: &mut Bytes<'b>, tally: &mut Tally) -> Option<Self> {
        let mut flow = Self::default();
        for slot in &template.slots {
            let bytes = bytes.value(slot.length)?;
            if flow.take(slot.what, bytes).is_none() {
                tally.add(Cause::BadValue, 1);
            }
        }
        Some(flow)
    }

    /// None where it is no such value.
    fn take(&mut self, what: Use, bytes: &'b [u8]) -> Option<()> {
        match what {
            Use::Nothing | Use::Unknown => {}
            Use::Field(field, kind) => match of_field(field, read(kind, bytes)?)? {
                Value::Absent => {}
                value => self.values.push((field, value)),
            },
            Use::Times(hint, kind) => {
                let (Value::Number(number) | Value::Time(number)) = read(kind, bytes)? else { return None };
                self.hints.push((hint, number));
            }
            Use::Ingress => self.ingress = Some(number(bytes)?),
            Use::Egress => self.egress = Some(number(bytes)?),
            Use::Icmp => self.icmp = Some(number(bytes)?),
            Use::ClassOfService => self.class_of_service = Some(number(bytes)?),
        }
        Some(())
    }

    /// When the exporter's own clock began, if that is what it tells.
    pub fn boot(&self) -> Option<u64> {
        self.hint(Hint::Boot)
    }

    fn hint(&self, wanted: Hint) -> Option<u64> {
        self.hints.iter().find(|(hint, _)| *hint == wanted).map(|(_, value)| *value)
    }

    fn of(&self, name: &str) -> Option<&Value<'b>> {
        self.values.iter().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.of(name)? {
            Value::Number(number) | Value::Time(number) => Some(*number),
            _ => None,
        }
    }

    fn is(&self, name: &str, words: &[&str]) -> bool {
        matches!(self.of(name), Some(Value::Text(text)) if words.contains(&text.as_ref()))
    }

    fn forget(&mut self, names: &[&str]) {
        self.values.retain(|(field, _)| !names.contains(&field.name));
    }

    fn set(&mut self, name: &str, value: Value<'b>) {
        self.forget(&[name]);
        let field = place(name).and_then(|place| FIELDS.get(place));
        self.values.extend(field.map(|field| (field, value)));
    }

    /// The record; none where what it tells is not of a flow.
    pub fn record(mut self, is_foreign: bool, around: Around, tally: &mut Tally) -> Option<FlowRecord> {
        if self.of("source_address").is_none() && self.of("ethertype").is_none() {
            return None;
        }
        self.settle_interface();
        self.settle_ports(is_foreign);
        self.settle_times(around, tally);
        if is_foreign {
            self.settle_foreign();
        }
        FlowRecord::from_values(self.values)
    }

    /// The interface where it was counted: where packets leave if it is of these.
    fn settle_interface(&mut self) {
        let told = |index: Option<u64>| index.is_some_and(|index| index != 0);
        if self.of("direction").is_none() && !told(self.ingress) && told(self.egress) {
            self.set("direction", Value::Text("egress".into()));
        }
        let (first, second) = match self.is("direction", &["egress"]) {
            true => (self.egress, self.ingress),
            false => (self.ingress, self.egress),
        };
        if let Some(index) = first.or(second) {
            self.set("interface_index", Value::Number(index));
        }
    }

    /// ICMP has a type and a code, others have ports; some exporters have both of all, one of them zero, or put type and
    /// code into the destination's port.
    fn settle_ports(&mut self, is_foreign: bool) {
        const PORTS: [&str; 2] = ["source_port", "destination_port"];
        const ICMP: [&str; 2] = ["icmp_type", "icmp_code"];
        if !self.is("protocol", &["icmp", "icmpv6"]) {
            self.forget(&ICMP);
            let has_ports = self.is("protocol", &["tcp", "udp", "sctp", "dccp", "udplite"]);
            if is_foreign && !has_ports && PORTS.iter().all(|port| self.number(port) == Some(0)) {
                self.forget(&PORTS);
            }
            return;
        }
        let by_port = self.number("destination_port").filter(|_| is_foreign);
        self.forget(&PORTS);
        if self.of("icmp_type").is_none()
            && let Some(both) = self.icmp.or(by_port)
        {
            self.set("icmp_type", Value::Number(both >> 8 & 0xff));
            self.set("icmp_code", Value::Number(both & 0xff));
        }
    }

    /// By whatever tells them; one that is not told is the other, and where none is it is the message's.
    fn settle_times(&mut self, around: Around, tally: &mut Tally) {
        let uptime = |hint| {
            let boot = self.boot().or(around.boot)?;
            Some(nearest(boot.saturating_add(self.hint(hint)?.saturating_mul(MILLISECOND)), around.sent))
        };
        let before = |hint| Some(around.sent.saturating_sub(self.hint(hint)?.saturating_mul(MICROSECOND)));
        let duration = || {
            let fine = self.hint(Hint::DurationMicroseconds).map(|length| length.saturating_mul(MICROSECOND));
            fine.or_else(|| {
                self.hint(Hint::DurationMilliseconds).map(|length| length.saturating_mul(MILLISECOND))
            })
        };
        let told = |name, since_boot, before_message| {
            self.number(name).or_else(|| uptime(since_boot)).or_else(|| before(before_message))
        };
        let start = told("start", Hint::StartUptime, Hint::StartBefore);
        let end = told("end", Hint::EndUptime, Hint::EndBefore);
        let observed = self.hint(Hint::Observed);
        let start = start.or_else(|| Some(end?.saturating_sub(duration()?))).or(observed);
        let end = end.or_else(|| Some(start?.saturating_add(duration()?))).or(observed);
        let (start, end) = match (start.or(end), end.or(start)) {
            (Some(start), Some(end)) => (start, end),
            _ => {
                tally.add(Cause::NoTime, 1);
                (around.sent, around.sent)
            }
        };
        self.set("start", Value::Time(start));
        self.set("end", Value::Time(end));
    }

    /// What others say of what does not apply, and what they do not say.
    fn settle_foreign(&mut self) {
        if self.number("vlan") == Some(0) {
            self.forget(&["vlan"]);
        }
        ["sampling_rate", "reverse_sampling_rate"].into_iter().for_each(|rate| {
            if self.number(rate) == Some(0) {
                self.forget(&[rate]);
            }
        });
        if let (None, Some(class)) = (self.of("dscp"), self.class_of_service) {
            self.set("dscp", Value::Number(class >> 2 & 0x3f));
        }
        // Who began is what they saw first (RFC 5103), as far as they say that they know.
        let has_reverse = self.values.iter().any(|(field, _)| field.name.starts_with("reverse_"));
        if has_reverse && self.is("biflow_direction", &["initiator"]) {
            self.set("biflow_evidence", Value::Text("time".into()));
        }
    }
}
