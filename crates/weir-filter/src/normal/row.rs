//! A row: what has to be true at once.

use super::dimension::Dimension;
use super::point::PointTest;
use super::set::Set;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use weir_record::{Direction, FlowKey, Interface};

/// A conjunction: a key is in every set, and every test of the observation point holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// What a key may say; a dimension that is not there may say anything.
    pub sets: BTreeMap<Dimension, Set>,
    /// Where, sorted.
    pub points: Vec<PointTest>,
}

impl Row {
    pub(super) fn of_set(dimension: Dimension, set: Set) -> Self {
        let mut row = Self::default();
        row.put(dimension, set);
        row
    }

    pub(super) fn of_point(point: PointTest) -> Self {
        Self { sets: BTreeMap::new(), points: vec![point] }
    }

    /// Sets a dimension; a full set is none.
    pub(super) fn put(&mut self, dimension: Dimension, set: Set) {
        if set.is_full(dimension) {
            self.sets.remove(&dimension);
        } else {
            self.sets.insert(dimension, set);
        }
    }

    /// Whether a packet of this flow at this observation point matches.
    pub fn matches(&self, key: &FlowKey, interface: &Interface, direction: Direction) -> bool {
        self.sets.iter().all(|(dimension, set)| set.contains(dimension.read(key)))
            && self.points.iter().all(|point| point.holds(interface, direction))
    }

    /// The row that matches the answers to what this one matches: source and destination change
    /// places, ingress and egress, ICMP requests and replies.
    pub fn reversed(&self) -> Self {
        let sets = self.sets.iter().map(|(dimension, set)| match dimension {
            Dimension::IcmpType => (*dimension, set.answering_icmp_types()),
            _ => (dimension.reversed(), set.clone()),
        });
        let mut points: Vec<_> = self.points.iter().map(PointTest::reversed).collect();
        points.sort_unstable();
        Self { sets: sets.collect(), points }
    }

    /// Whether no packet can match.
    pub fn is_never(&self) -> bool {
        let excluded = || {
            let pairs = self.points.iter().enumerate();
            pairs.into_iter().any(|(place, one)| self.points[place..].iter().any(|other| one.excludes(other)))
        };
        !self.sets.is_empty() && SHAPES.iter().all(|shape| self.and(shape).has_empty_set()) || excluded()
    }

    /// Whether every packet that matches `other` surely matches this.
    pub fn contains(&self, other: &Self) -> bool {
        self.contains_shaped(other, &other.shaped())
    }

    /// [`contains`](Self::contains) for many to ask of the same row, with what it is in each shape.
    pub(crate) fn contains_shaped(&self, other: &Self, shaped: &[Self]) -> bool {
        let points =
            || self.points.iter().all(|one| other.points.iter().any(|given| one.follows_from(given)));
        shaped.iter().all(|row| self.has_sets_of(row)) && points()
    }

    /// What it is in each of the shapes of keys that it can match.
    pub(crate) fn shaped(&self) -> Vec<Self> {
        SHAPES.iter().map(|shape| self.and(shape)).filter(|row| !row.has_empty_set()).collect()
    }

    /// Whether a packet could match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meets = |(dimension, set): (&Dimension, &Set)| {
            other.sets.get(dimension).is_none_or(|other| !set.intersection(other).is_empty())
        };
        self.sets.iter().all(meets) && !self.and(other).is_never()
    }

    /// [`contains`](Self::contains) without what is known of packets.
    pub(super) fn contains_plainly(&self, other: &Self) -> bool {
        self.has_sets_of(other) && self.points.iter().all(|point| other.points.contains(point))
    }

    fn has_sets_of(&self, other: &Self) -> bool {
        self.sets
            .iter()
            .all(|(dimension, set)| other.sets.get(dimension).is_some_and(|inner| inner.is_subset(set)))
    }

    /// What matches both.
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (dimension, set) in &other.sets {
            let met = both.sets.get(dimension).map_or_else(|| set.clone(), |own| own.intersection(set));
            both.sets.insert(*dimension, met);
        }
        both.points.extend(other.points.iter().cloned());
        both.points.sort_unstable();
        both.points.dedup();
        both
    }

    fn has_empty_set(&self) -> bool {
        self.sets.values().any(Set::is_empty)
    }
}

/// The shapes that keys have. Within a shape, what one dimension says depends on no other, so that
/// sets can be compared dimension by dimension.
static SHAPES: LazyLock<Vec<Row>> = LazyLock::new(|| {
    use Dimension::{
        DestinationAddress, DestinationPort, Ethertype, IcmpCode, IcmpType, Protocol, SourceAddress,
        SourcePort,
    };
    const ADDRESSES: [Dimension; 2] = [SourceAddress, DestinationAddress];
    const PORTS: [Dimension; 2] = [SourcePort, DestinationPort];
    const ICMP: [Dimension; 2] = [IcmpType, IcmpCode];
    let all = |dimensions: [Dimension; 2], set: fn(Dimension) -> Set| dimensions.map(|one| (one, set(one)));
    let row = |sets: &[[(Dimension, Set); 2]]| Row {
        sets: sets.iter().flatten().cloned().collect(),
        points: vec![],
    };

    let icmp = Set::numbers(Protocol, [(1, 1), (58, 58)]);
    let with_ports = row(&[all(PORTS, Set::present), all(ICMP, Set::null)])
        .and(&Row::of_set(Protocol, icmp.complement(Protocol).intersection(&Set::present(Protocol))));
    let with_icmp = row(&[all(PORTS, Set::null), all(ICMP, Set::present)]).and(&Row::of_set(Protocol, icmp));
    let with_neither = row(&[all(PORTS, Set::null), all(ICMP, Set::null)])
        .and(&Row::of_set(Protocol, Set::present(Protocol)));
    let not_ip = row(&[all(ADDRESSES, Set::null), all(PORTS, Set::null), all(ICMP, Set::null)])
        .and(&Row::of_set(Protocol, Set::null(Protocol)));

    let family = |is_v4: bool, ethertype: u64| {
        let addresses = ADDRESSES.map(|dimension| {
            let of_family = |set: Set| match set {
                Set::Addresses { v4, .. } if is_v4 => {
                    Set::Addresses { v4, v6: Default::default(), absent: false }
                }
                Set::Addresses { v6, .. } => Set::Addresses { v4: Default::default(), v6, absent: false },
                numbers => numbers,
            };
            (dimension, of_family(Set::present(dimension)))
        });
        row(&[addresses]).and(&Row::of_set(Ethertype, Set::numbers(Ethertype, [(ethertype, ethertype)])))
    };
    let ip = [family(true, 0x0800), family(false, 0x86dd)];
    let contents = [with_ports, with_icmp, with_neither];
    let mut shapes: Vec<_> =
        ip.iter().flat_map(|family| contents.iter().map(|content| family.and(content))).collect();
    let mut not_ip = not_ip;
    not_ip.sets.insert(Ethertype, Set::present(Ethertype));
    shapes.push(not_ip);
    shapes
});
