//! From the ranges of all rows to elementary ones, in each of which the same rows fit.

use super::{Addresses, Range, Row, clear_bit, set_bit};
use std::collections::BTreeMap;
use weir_kernel::RuleSet;

/// What one trie tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    Address4,
    Address6,
    Transport,
    Network,
    Vlan,
}

impl Dimension {
    /// Bytes of a value.
    pub fn bytes(self) -> u32 {
        match self {
            Self::Address4 => 4,
            Self::Address6 => 16,
            Self::Transport | Self::Network => 3,
            Self::Vlan => 2,
        }
    }

    fn last(self) -> u128 {
        u128::MAX >> (128 - 8 * self.bytes())
    }

    /// The row's ranges for the source's side of a packet and for the destination's, where it has two.
    fn of(self, row: &Row) -> Vec<Option<&[Range]>> {
        match self {
            Self::Address4 => vec![side4(&row.source), side4(&row.destination)],
            Self::Address6 => vec![side6(&row.source), side6(&row.destination)],
            Self::Transport => vec![row.first.as_deref(), row.second.as_deref()],
            Self::Network => vec![row.network.as_deref()],
            Self::Vlan => vec![row.vlan.as_deref()],
        }
    }

    fn sides(self) -> usize {
        match self {
            Self::Address4 | Self::Address6 | Self::Transport => 2,
            Self::Network | Self::Vlan => 1,
        }
    }
}

fn side4(addresses: &Option<Addresses>) -> Option<&[Range]> {
    addresses.as_ref().map(|set| set.v4.as_slice())
}

fn side6(addresses: &Option<Addresses>) -> Option<&[Range]> {
    addresses.as_ref().map(|set| set.v6.as_slice())
}

/// The dimension cut wherever some row begins or ends to fit; with each piece the rows that fit it, by side.
pub(super) fn elementary(rows: &[Row], dimension: Dimension) -> Vec<(Range, Vec<RuleSet>)> {
    // What changes at a value: on which side which row begins (true) or ends to fit.
    let mut changes: BTreeMap<u128, Vec<(usize, usize, bool)>> = BTreeMap::from([(0, Vec::new())]);
    let mut now = vec![RuleSet::default(); dimension.sides()];
    for (number, row) in rows.iter().enumerate() {
        for (side, ranges) in dimension.of(row).into_iter().enumerate() {
            let Some(ranges) = ranges else {
                set_bit(&mut now[side], number);
                continue;
            };
            for &(first, last) in ranges {
                changes.entry(first).or_default().push((side, number, true));
                if last < dimension.last() {
                    changes.entry(last + 1).or_default().push((side, number, false));
                }
            }
        }
    }
    let ends: Vec<_> = changes.keys().skip(1).map(|begin| begin - 1).chain([dimension.last()]).collect();
    let mut pieces = Vec::with_capacity(ends.len());
    for ((begin, mut changed), end) in changes.into_iter().zip(ends) {
        // One range may end where the next of the same row begins.
        changed.sort_unstable_by_key(|(.., begins)| *begins);
        for (side, number, begins) in changed {
            if begins { set_bit(&mut now[side], number) } else { clear_bit(&mut now[side], number) }
        }
        pieces.push(((begin, end), now.clone()));
    }
    pieces
}

/// The rows that a packet without addresses fits, by side.
pub(super) fn without_addresses(rows: &[Row]) -> Vec<RuleSet> {
    let mut sides = vec![RuleSet::default(); 2];
    for (number, row) in rows.iter().enumerate() {
        for (side, addresses) in [&row.source, &row.destination].into_iter().enumerate() {
            if addresses.as_ref().is_none_or(|set| set.none) {
                set_bit(&mut sides[side], number);
            }
        }
    }
    sides
}
