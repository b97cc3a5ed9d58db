//! Tests of the observation point: the same for every packet that passes it.

use crate::expression::{Check, Pattern};
use crate::language::words;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use weir_record::{Direction, Field, FlowKey, FlowRecord, Interface, Value};

/// Fields that say where and which way, and nothing of the packet.
const FIELDS: [&str; 5] = ["interface", "interface_index", "direction", "netns", "interface_kind"];

/// A test on a field of the observation point, or that it fails.
#[derive(Clone)]
pub struct PointTest {
    /// What is tested.
    pub field: &'static Field,
    /// What it is tested for.
    pub check: Check,
    /// Whether it has to pass, or has to fail.
    pub passes: bool,
}

impl PointTest {
    /// Whether a field can be tested so.
    pub fn is_for(field: &Field) -> bool {
        FIELDS.contains(&field.name)
    }

    /// Whether it holds where the packets of this interface pass this way.
    pub fn holds(&self, interface: &Interface, direction: Direction) -> bool {
        // The field table reads records; of this one only what is asked for here means anything.
        let key = FlowKey::Other { vlan: None, ethertype: 0 };
        let record = FlowRecord::blank(Arc::new(interface.clone()), direction, key);
        self.admits(&(self.field.read)(&record))
    }

    fn admits(&self, value: &Value<'_>) -> bool {
        self.check.fits(value) == self.passes
    }

    /// The same where packets go the other way.
    pub(super) fn reversed(&self) -> Self {
        let (one, other) = (Direction::Ingress.as_str(), Direction::Egress.as_str());
        let mut reversed = self.clone();
        if let ("direction", Check::Text(patterns)) = (self.field.name, &self.check) {
            let flipped = patterns.iter().map(|pattern| match pattern {
                Pattern::Exact(word) if word == one => Pattern::Exact(other.into()),
                Pattern::Exact(word) if word == other => Pattern::Exact(one.into()),
                pattern => pattern.clone(),
            });
            let mut flipped: Vec<_> = flipped.collect();
            flipped.sort_unstable();
            reversed.check = Check::Text(flipped);
        }
        reversed
    }

    /// Every value with which it holds, where these are few and known.
    fn admitted(&self) -> Option<Vec<Value<'_>>> {
        const FEW: u64 = 64;
        if let Some(words) = words(self.field.name) {
            let values = words.into_iter().map(|word| Value::Text(word.into()));
            return Some(values.filter(|value| self.admits(value)).collect());
        }
        match &self.check {
            Check::Text(patterns) if self.passes => patterns.iter().map(exact).collect(),
            Check::Within(spans) if self.passes => {
                let few = spans.iter().all(|(first, last)| last - first < FEW) && spans.iter().len() < 1024;
                let numbers = || spans.iter().flat_map(|(first, last)| (first..=last).map(Value::Number));
                few.then(|| numbers().collect())
            }
            Check::Absent if self.passes => {
                Some(if self.field.nullable { vec![Value::Absent] } else { Vec::new() })
            }
            _ => None,
        }
    }

    /// Whether this holds wherever `other` does, as far as can be told.
    pub(super) fn follows_from(&self, other: &Self) -> bool {
        self == other
            || self.field.name == other.field.name
                && other.admitted().is_some_and(|values| values.iter().all(|value| self.admits(value)))
    }

    /// Whether this and `other` hold nowhere together, as far as can be told.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        if self.field.name != other.field.name {
            return false;
        }
        let none = |one: &Self, other: &Self| {
            one.admitted().is_some_and(|values| !values.iter().any(|value| other.admits(value)))
        };
        self.check == other.check && self.passes != other.passes || none(self, other) || none(other, self)
    }
}

fn exact(pattern: &Pattern) -> Option<Value<'_>> {
    match pattern {
        Pattern::Exact(text) => Some(Value::Text(text.as_str().into())),
        Pattern::Glob(_) => None,
    }
}

impl fmt::Debug for PointTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.passes { "" } else { "not " };
        write!(f, "{not}{} {:?}", self.field.name, self.check)
    }
}

impl Ord for PointTest {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.field.name.cmp(other.field.name).then_with(|| self.check.cmp(&other.check));
        order.then_with(|| self.passes.cmp(&other.passes))
    }
}

impl PartialOrd for PointTest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PointTest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PointTest {}
