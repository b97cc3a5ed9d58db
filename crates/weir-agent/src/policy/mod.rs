//! What is counted and what is written: rules for packets, a filter for records.
//!
//! Rules decide in the kernel, packet by packet. The filter selects records as they are
//! written; the kernel leaves out beforehand what cannot become part of such a record, as far as the
//! keys of packets tell, and what is left is decided here, on the whole record.

mod kernel;
#[cfg(test)]
mod witness;

use crate::conversations::Carriers;
use crate::{Dedup, Error, Result, Settings, nat};
use weir_filter::normal::{Doubt, NotKernel, Row};
use weir_filter::{Action, Filter, Rule, warnings};
use weir_kernel::RULE_ROWS;
use weir_probes::flows::rules::{Compiled, Room};
use weir_record::{Direction, Field, FlowRecord, Interface};

/// The rules and the filter, as the user gave them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// The first that fits a packet decides; what fits none is counted.
    pub rules: Vec<Rule>,
    /// Which records are written; all without it.
    pub filter: Option<Filter>,
}

/// How packets become records: what the filter sees in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assembly {
    /// Both directions are one record.
    pub both_directions: bool,
    /// All observation points are one record.
    pub all_points: bool,
    /// Records name the tunnel that carries them: it must be known, wanted or not.
    pub parents: bool,
    /// Packets with other addresses and ports can be parts of a record.
    pub translations: bool,
}

impl From<&Settings> for Assembly {
    fn from(settings: &Settings) -> Self {
        Self {
            both_directions: settings.joining.biflow,
            all_points: settings.joining.dedup != Dedup::Off,
            parents: settings.decapsulate,
            translations: settings.follows_nat() && nat::is_possible(),
        }
    }
}

/// A policy at work.
#[derive(Debug)]
pub(crate) struct Selector {
    policy: Policy,
    /// The kernel's rows, to tell which of them mean an observation point.
    rows: Vec<Row>,
    compiled: Compiled,
    /// What a user should know of it.
    remarks: Vec<String>,
}

impl Selector {
    /// Compiles `policy`.
    ///
    /// # Errors
    /// A rule cannot be decided packet by packet, or the rules do not fit.
    pub fn new(policy: Policy, assembly: Assembly, room: Room) -> Result<Self> {
        let mut remarks = warnings(&policy.rules);
        let rules = rule_rows(&policy.rules)?;
        let rows = match &policy.filter {
            Some(filter) => before_filter(&rules, filter, assembly).unwrap_or_else(|| {
                remarks.push(
                    "the filter is too involved for the kernel: it is decided on the records alone".into(),
                );
                rules
            }),
            None => rules,
        };
        if policy.filter.is_some() && is_closed(&rows) {
            remarks.push("nothing will be written: no packet fits the filter and passes the rules".into());
        }
        let compiled = Compiled::new(&rows.iter().map(kernel::row).collect::<Vec<_>>(), room)?;
        let rows = rows.into_iter().map(|(row, _)| row).collect();
        Ok(Self { policy, rows, compiled, remarks })
    }

    /// Rules that never match, and the like.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The rules for the kernel, with the observation points that there are.
    ///
    /// # Errors
    /// There is no room for one more set of rows.
    pub fn compiled<'a>(
        &self,
        points: impl Iterator<Item = (u16, &'a Interface, Direction)>,
    ) -> Result<Compiled> {
        let mut compiled = self.compiled.clone();
        if compiled.asks_for_points() {
            for (point, interface, direction) in points {
                compiled.admit(point, |row| self.means(row, interface, direction))?;
            }
        }
        Ok(compiled)
    }

    /// Whether the kernel's row number `row` means this observation point.
    pub fn means(&self, row: usize, interface: &Interface, direction: Direction) -> bool {
        self.rows.get(row).is_some_and(|row| row.points.iter().all(|test| test.holds(interface, direction)))
    }

    /// Whether a record is written.
    pub fn writes(&self, record: &FlowRecord) -> bool {
        self.policy.filter.as_ref().is_none_or(|filter| filter.matches(record))
    }
}

/// Each rule's rows, in order.
fn rule_rows(rules: &[Rule]) -> Result<Vec<(Row, Action)>> {
    let mut all = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let rows = match &rule.filter {
            Some(filter) => filter.rows(RULE_ROWS as usize, Doubt::Refuse),
            None => Ok(vec![Row::default()]),
        };
        let rows =
            rows.map_err(|source| Error::Rule { number: place + 1, rule: rule.to_string(), source })?;
        all.extend(rows.into_iter().map(|row| (row, rule.action)));
    }
    Ok(all)
}

/// What a NAT changes.
const TRANSLATED: [&str; 4] = ["source_address", "destination_address", "source_port", "destination_port"];

const COUNT_ALL: Action = Action::Allow { one_in: std::num::NonZeroU32::MIN };

/// Whether no packet passes.
fn is_closed(rows: &[(Row, Action)]) -> bool {
    let denies = |(_, action): &(Row, Action)| *action == Action::Deny;
    rows.iter().all(denies) && rows.last().is_some_and(|(row, _)| *row == Row::default())
}

/// The rules, and after them a last one that leaves out what the filter cannot want. None where that takes too many rows.
fn before_filter(rules: &[(Row, Action)], filter: &Filter, assembly: Assembly) -> Option<Vec<(Row, Action)>> {
    let wanted = wanted_rows(filter, assembly).ok()?;
    if wanted.contains(&Row::default()) {
        return Some(rules.to_vec());
    }
    let mut rows = Vec::new();
    for (row, action) in rules.iter().chain([&(Row::default(), COUNT_ALL)]) {
        match action {
            Action::Deny => rows.push((row.clone(), *action)),
            Action::Allow { .. } => {
                let both = wanted.iter().map(|want| row.and(want)).filter(|both| !both.is_never());
                rows.extend(both.map(|both| (both, *action)));
            }
        }
    }
    rows.push((Row::default(), Action::Deny));
    (rows.len() <= RULE_ROWS as usize).then_some(rows)
}

/// Rows of all packets that may carry others.
fn tunnel_rows() -> Result<Vec<Row>, NotKernel> {
    let filter = Carriers::FILTER.parse::<Filter>();
    filter.map_or_else(|_| Ok(vec![Row::default()]), |filter| filter.rows(RULE_ROWS as usize, Doubt::Refuse))
}

/// Rows that cover every packet of the records that the filter wants.
fn wanted_rows(filter: &Filter, assembly: Assembly) -> Result<Vec<Row>, NotKernel> {
    // A record of many points says of itself where one of them is, and which tag the frame had there.
    let of_one_point = |field: &Field| kernel::is_point(field) || field.name == "vlan";
    let of_one_side = |field: &Field| TRANSLATED.contains(&field.name);
    let known = |field: &Field| {
        !(assembly.all_points && of_one_point(field) || assembly.translations && of_one_side(field))
    };
    let mut rows = filter.rows_knowing(RULE_ROWS as usize / 4, Doubt::Pass, known)?;
    if assembly.both_directions {
        for reversed in rows.iter().map(Row::reversed).collect::<Vec<_>>() {
            if !rows.iter().any(|row| row.contains(&reversed)) {
                rows.push(reversed);
            }
        }
    }
    if assembly.parents && !rows.is_empty() {
        rows.extend(tunnel_rows()?);
    }
    Ok(rows)
}
