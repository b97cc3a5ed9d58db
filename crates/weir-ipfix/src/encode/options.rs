//! What is told beside flows, in records of options (RFC 7011, section 3.4.2.2): names of interfaces, how packets were
//! chosen, and what the exporter has done.

use super::layout::put_specifier;
use super::types;
use crate::element::{Known, Means, Type, Written};
use std::collections::BTreeSet;
use weir_record::{Element, FlowRecord, Value};

/// Records of one kind: the number of their template, and the elements in it, of which the first ones say what they are
/// about.
#[derive(Debug)]
pub struct Options {
    pub id: u16,
    pub scopes: u16,
    pub elements: &'static [(u16, u16)],
}

/// What a name of an interface has room in, with zeros behind it: IFNAMSIZ. nfacctd takes records of options to be as
/// long as what is fixed in them.
const NAME: u16 = 16;

/// ingressInterface; interfaceName.
pub const INTERFACES: Options =
    Options { id: types::TYPES.id + 1, scopes: 1, elements: &[(10, 4), (82, NAME)] };
/// selectorId; selectorAlgorithm, samplingProbability (RFC 5477, section 8.2).
pub const SELECTORS: Options =
    Options { id: types::TYPES.id + 2, scopes: 1, elements: &[(SELECTOR, 4), (304, 2), (311, 8)] };
/// observationDomainId; exportedMessageTotalCount, exportedFlowRecordTotalCount, exportedOctetTotalCount (section 4.1).
pub const EXPORTED: Options =
    Options { id: types::TYPES.id + 3, scopes: 1, elements: &[(149, 4), (41, 8), (42, 8), (40, 8)] };
/// exportingProcessId; notSentFlowTotalCount, notSentPacketTotalCount, notSentOctetTotalCount (section 4.3).
pub const NOT_SENT: Options =
    Options { id: types::TYPES.id + 4, scopes: 1, elements: &[(144, 4), (166, 8), (167, 8), (168, 8)] };
/// Flows have templates after these.
pub const LAST_TEMPLATE: u16 = NOT_SENT.id;

/// selectorId.
const SELECTOR: u16 = 302;
/// Uniform probabilistic sampling (RFC 5477, section 8.2.1).
const UNIFORM: u16 = 4;

impl Options {
    pub fn template(&self) -> Vec<u8> {
        let mut template = Vec::new();
        for number in [self.id, self.elements.len() as u16, self.scopes] {
            template.extend(number.to_be_bytes());
        }
        self.elements.iter().for_each(|&(id, length)| put_specifier(&mut template, 0, id, length));
        template
    }
}

/// How many there were, of this scope.
pub fn counts(scope: u32, counts: [u64; 3]) -> Vec<u8> {
    let mut record = scope.to_be_bytes().to_vec();
    counts.iter().for_each(|count| record.extend(count.to_be_bytes()));
    record
}

/// What was told of interfaces and selectors since it was last asked for.
#[derive(Debug, Default)]
pub struct Told {
    interfaces: BTreeSet<u32>,
    selectors: BTreeSet<u32>,
}

impl Told {
    /// What has to be told before this record, each with whether it is the first of its kind. Interfaces of other network
    /// namespaces have numbers that mean something else here: their names are in records of flows alone.
    pub fn next(&mut self, record: &FlowRecord) -> Vec<(Options, bool, Vec<u8>)> {
        let mut next = Vec::new();
        let interface = &record.interface;
        if interface.own_netns && interface.index != 0 && !self.interfaces.contains(&interface.index) {
            let mut name = interface.index.to_be_bytes().to_vec();
            name.extend(interface.name.bytes().take(usize::from(NAME) - 1));
            name.resize(4 + usize::from(NAME), 0);
            next.push((INTERFACES, self.interfaces.is_empty(), name));
            self.interfaces.insert(interface.index);
        }
        if let Some(rate) = selector(record).filter(|rate| !self.selectors.contains(rate)) {
            let (algorithm, probability) = (UNIFORM.to_be_bytes(), (1.0 / f64::from(rate)).to_be_bytes());
            let selector = [&rate.to_be_bytes()[..], &algorithm, &probability].concat();
            next.push((SELECTORS, self.selectors.is_empty(), selector));
            self.selectors.insert(rate);
        }
        next
    }
}

/// Which selector has chosen a flow's packets: its number is the rate. None where all are counted.
fn selector(record: &FlowRecord) -> Option<u32> {
    Some(record.sampling_rate).filter(|rate| *rate > 1)
}

/// selectorId, of flows that are sampled, beside the field that says how.
pub fn selector_id(written: Written) -> Written {
    static SELECTOR_ID: Known = Known {
        element: Element { enterprise: 0, id: SELECTOR, name: "selectorId" },
        kind: Type::Unsigned(4),
        means: Means::Tells("sampling_rate", u8::MAX),
    };
    Written { usual: &SELECTOR_ID, other: &SELECTOR_ID, ..written }
}

/// What is written of a record.
pub fn value<'r>(written: &Written, record: &'r FlowRecord) -> Value<'r> {
    match (written.field.read)(record) {
        _ if written.usual.element.id == SELECTOR && selector(record).is_none() => Value::Absent,
        value => value,
    }
}
