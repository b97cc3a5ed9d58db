//! What a row lets through in one dimension.

use super::dimension::{Coordinate, Dimension, answering_icmp_type};
use crate::expression::{AddressSet, Check};
use crate::spans::Spans;
use std::net::IpAddr;

/// Values of one dimension, and whether none at all is one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Set {
    /// Of addresses.
    Addresses {
        /// IPv4.
        v4: Spans<u32>,
        /// IPv6.
        v6: Spans<u128>,
        /// Whether null is in it.
        absent: bool,
    },
    /// Of numbers, none of them above [`Dimension::most`].
    Numbers {
        /// The numbers.
        spans: Spans<u32>,
        /// Whether null is in it.
        absent: bool,
    },
}

impl Set {
    /// Everything that a dimension can say.
    pub fn full(dimension: Dimension) -> Self {
        Self::present(dimension).with_absent(true)
    }

    /// Nothing.
    pub fn empty(dimension: Dimension) -> Self {
        if dimension.is_address() {
            Self::Addresses { v4: Spans::empty(), v6: Spans::empty(), absent: false }
        } else {
            Self::Numbers { spans: Spans::empty(), absent: false }
        }
    }

    /// Null and nothing else.
    pub fn null(dimension: Dimension) -> Self {
        Self::empty(dimension).with_absent(true)
    }

    /// Everything but null.
    pub fn present(dimension: Dimension) -> Self {
        if dimension.is_address() {
            Self::Addresses { v4: Spans::full(), v6: Spans::full(), absent: false }
        } else {
            Self::Numbers { spans: Spans::range(0, dimension.most()), absent: false }
        }
    }

    /// These numbers, as far as the dimension has them.
    pub fn numbers(dimension: Dimension, ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let most = dimension.most();
        let known = ranges.into_iter().filter_map(|(first, last)| {
            Some((u32::try_from(first).ok()?, u32::try_from(last).unwrap_or(most).min(most)))
        });
        Self::Numbers { spans: known.collect(), absent: false }
    }

    /// What a check lets through; nothing where it is for values of another kind.
    pub(super) fn of(dimension: Dimension, check: &Check) -> Self {
        match check {
            Check::Absent => Self::null(dimension),
            Check::Within(spans) if !dimension.is_address() => Self::numbers(dimension, spans.iter()),
            Check::Addresses(AddressSet { v4, v6 }) if dimension.is_address() => {
                Self::Addresses { v4: v4.clone(), v6: v6.clone(), absent: false }
            }
            _ => Self::empty(dimension),
        }
    }

    fn with_absent(self, absent: bool) -> Self {
        match self {
            Self::Addresses { v4, v6, .. } => Self::Addresses { v4, v6, absent },
            Self::Numbers { spans, .. } => Self::Numbers { spans, absent },
        }
    }

    /// Whether null is in it.
    pub fn has_absent(&self) -> bool {
        match self {
            Self::Addresses { absent, .. } | Self::Numbers { absent, .. } => *absent,
        }
    }

    /// Whether what a key says is in it.
    pub fn contains(&self, coordinate: Coordinate) -> bool {
        match (self, coordinate) {
            (_, Coordinate::Absent) => self.has_absent(),
            (Self::Numbers { spans, .. }, Coordinate::Number(number)) => spans.contains(number),
            (Self::Addresses { v4, .. }, Coordinate::Address(IpAddr::V4(address))) => {
                v4.contains(address.into())
            }
            (Self::Addresses { v6, .. }, Coordinate::Address(IpAddr::V6(address))) => {
                v6.contains(address.into())
            }
            _ => false,
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.has_absent()
            && match self {
                Self::Addresses { v4, v6, .. } => v4.is_empty() && v6.is_empty(),
                Self::Numbers { spans, .. } => spans.is_empty(),
            }
    }

    /// Whether everything is in it that the dimension can say.
    pub fn is_full(&self, dimension: Dimension) -> bool {
        let never_absent = dimension == Dimension::Ethertype;
        *self == Self::full(dimension) || never_absent && *self == Self::present(dimension)
    }

    /// What of the dimension is not in it.
    pub fn complement(&self, dimension: Dimension) -> Self {
        match self {
            Self::Addresses { v4, v6, absent } => {
                Self::Addresses { v4: v4.complement(), v6: v6.complement(), absent: !absent }
            }
            Self::Numbers { spans, absent } => {
                let there = Spans::range(0, dimension.most());
                Self::Numbers { spans: spans.complement().intersection(&there), absent: !absent }
            }
        }
    }

    /// What is in either; both are of the same dimension, or it is the first alone.
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Addresses { v4, v6, absent }, Self::Addresses { v4: other_v4, v6: other_v6, .. }) => {
                let absent = *absent || other.has_absent();
                Self::Addresses { v4: v4.union(other_v4), v6: v6.union(other_v6), absent }
            }
            (Self::Numbers { spans, absent }, Self::Numbers { spans: others, .. }) => {
                Self::Numbers { spans: spans.union(others), absent: *absent || other.has_absent() }
            }
            _ => self.clone(),
        }
    }

    /// What is in both; both are of the same dimension, or it is the first alone.
    pub fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Addresses { v4, v6, absent }, Self::Addresses { v4: other_v4, v6: other_v6, .. }) => {
                let absent = *absent && other.has_absent();
                Self::Addresses { v4: v4.intersection(other_v4), v6: v6.intersection(other_v6), absent }
            }
            (Self::Numbers { spans, absent }, Self::Numbers { spans: others, .. }) => {
                Self::Numbers { spans: spans.intersection(others), absent: *absent && other.has_absent() }
            }
            _ => self.clone(),
        }
    }

    /// Whether all that is in it is in `other`, too.
    pub fn is_subset(&self, other: &Self) -> bool {
        (!self.has_absent() || other.has_absent())
            && match (self, other) {
                (Self::Addresses { v4, v6, .. }, Self::Addresses { v4: other_v4, v6: other_v6, .. }) => {
                    v4.is_subset(other_v4) && v6.is_subset(other_v6)
                }
                (Self::Numbers { spans, .. }, Self::Numbers { spans: others, .. }) => spans.is_subset(others),
                _ => false,
            }
    }

    /// The types of the messages that answer those of these types.
    pub(super) fn answering_icmp_types(&self) -> Self {
        let answers = |spans: &Spans<u32>| {
            let asked = (0..=u8::MAX).filter(|number| spans.contains((*number).into()));
            asked
                .map(|number| {
                    (u32::from(answering_icmp_type(number)), u32::from(answering_icmp_type(number)))
                })
                .collect()
        };
        match self {
            Self::Numbers { spans, absent } => Self::Numbers { spans: answers(spans), absent: *absent },
            Self::Addresses { .. } => self.clone(),
        }
    }
}
