//! Which packets are counted: an ordered list of rows, compiled into what `rules.h` reads.
//!
//! ```text
//! rows ─► per dimension: elementary ranges ─► sets of rows (interned) ─► trie of blocks
//! ```
//!
//! A row is a conjunction: a packet fits it when each dimension of its key lies in the row's
//! ranges. The first row that fits decides; what fits none is counted.

mod publish;
mod ranges;
#[cfg(test)]
mod tests;
mod trie;

pub(super) use publish::Published;

use ranges::{Dimension, elementary};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use trie::Trie;
use weir_kernel::{
    RULE_BLOCK, RULE_DESTINATION, RULE_FIRST, RULE_NETWORK, RULE_POINT, RULE_ROWS, RULE_SECOND, RULE_SOURCE,
    RULE_VLAN, RULE_WORDS, RuleAction, RuleBlock, RuleHead, RuleSet,
};

/// First and last value of a range.
pub type Range = (u128, u128);

/// Which addresses a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4 addresses.
    pub v4: Vec<Range>,
    /// IPv6 addresses.
    pub v6: Vec<Range>,
    /// Packets that have none.
    pub none: bool,
}

/// What becomes of the packets of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Counted as filtered.
    Deny,
    /// Counted; all of them, or one in so many.
    Allow {
        /// 1 for all.
        one_in: u32,
    },
}

/// A conjunction; a dimension that is `None` fits every packet. Ranges of a dimension do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Source address.
    pub source: Option<Addresses>,
    /// Destination address.
    pub destination: Option<Addresses>,
    /// Source port or ICMP type: see [`transport`].
    pub first: Option<Vec<Range>>,
    /// Destination port or ICMP code: see [`transport`].
    pub second: Option<Vec<Range>>,
    /// Family and protocol, or ethertype: see [`network`].
    pub network: Option<Vec<Range>>,
    /// Outer VLAN tag: see [`vlan`].
    pub vlan: Option<Vec<Range>>,
    /// Whether only some observation points are meant: [`Compiled::admit`] says which.
    pub at_points: bool,
    /// What to do.
    pub action: Action,
}

/// Values of the transport dimension, three bytes.
pub mod transport {
    /// Neither ports nor ICMP type and code.
    pub const NONE: u128 = 0;
    /// Add a port.
    pub const PORTS: u128 = 1 << 16;
    /// Add an ICMP type or code.
    pub const ICMP: u128 = 2 << 16;
}

/// Values of the network dimension, three bytes.
pub mod network {
    /// Not IP; add the ethertype.
    pub const OTHER: u128 = 0;
    /// IPv4; add 256 times the protocol, and take the 256 values from there.
    pub const IPV4: u128 = 4 << 16;
    /// IPv6; likewise.
    pub const IPV6: u128 = 6 << 16;
}

/// Values of the VLAN dimension, two bytes.
pub mod vlan {
    /// No tag.
    pub const NONE: u128 = 0;
    /// Add the id.
    pub const TAGGED: u128 = 0x1000;
}

/// How much of everything fits into one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Blocks of the tries.
    pub blocks: u32,
    /// Sets of rows.
    pub sets: u32,
}

/// The rules do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// Rows.
    #[error(
        "too many rules: they make {0} rows, and there is room for {RULE_ROWS} ('port' and 'address' make two): join rules that do the same, with 'in' and a list"
    )]
    Rows(usize),
    /// Distinct sampling rates.
    #[error("{0} different sampling rates, and there is room for 255: let rules share them")]
    Rates(usize),
    /// Memory.
    #[error("the rules need more kernel memory than their share: raise --memory-budget")]
    Memory,
}

/// Rules as the kernel reads them.
#[derive(Debug, Clone)]
pub struct Compiled {
    head: RuleHead,
    words: u32,
    blocks: Vec<RuleBlock>,
    sets: Sets,
    actions: Vec<RuleAction>,
    rates: Rates,
    /// Sets of the observation points that have been admitted.
    points: HashMap<u16, u32>,
    /// Rows that ask for the observation point.
    at_points: Vec<usize>,
    /// The other ones.
    any_point: RuleSet,
    rows: usize,
}

impl Compiled {
    /// No rules: every packet is counted.
    pub fn none() -> Self {
        let actions = Vec::new();
        Self {
            head: RuleHead::default(),
            words: 0,
            blocks: Vec::new(),
            sets: Sets::new(Room { blocks: 1, sets: 1 }),
            actions,
            rates: Rates::default(),
            points: HashMap::new(),
            at_points: Vec::new(),
            any_point: RuleSet::default(),
            rows: 0,
        }
    }

    /// Compiles `rows`, of which the first that fits decides.
    ///
    /// # Errors
    /// They do not fit into `room`.
    pub fn new(rows: &[Row], room: Room) -> Result<Self, TooMany> {
        if rows.is_empty() {
            return Ok(Self::none());
        }
        if rows.len() > RULE_ROWS as usize {
            return Err(TooMany::Rows(rows.len()));
        }
        let rates = Rates::new(rows)?;
        let mut sets = Sets::new(room);
        let mut trie = Trie::new(room.blocks);
        let head = head(rows, &mut sets, &mut trie)?;
        let (at_points, others): (Vec<_>, Vec<_>) = (0..rows.len()).partition(|row| rows[*row].at_points);
        let mut any_point = RuleSet::default();
        others.into_iter().for_each(|row| set_bit(&mut any_point, row));
        Ok(Self {
            head,
            words: rows.len().div_ceil(64) as u32,
            blocks: trie.into_blocks(),
            sets,
            actions: rows.iter().map(|row| action(row, &rates)).collect(),
            rates,
            points: HashMap::new(),
            at_points,
            any_point,
            rows: rows.len(),
        })
    }

    /// Whether some row asks for the observation point, so that each must be admitted before it is watched.
    pub fn asks_for_points(&self) -> bool {
        self.head.dimensions & RULE_POINT != 0
    }

    /// Tells which of the rows that ask for the observation point mean `point`.
    ///
    /// # Errors
    /// There is no room for one more set of rows.
    pub fn admit(&mut self, point: u16, means: impl Fn(usize) -> bool) -> Result<(), TooMany> {
        let mut set = self.any_point;
        for row in self.at_points.iter().filter(|row| means(**row)) {
            set_bit(&mut set, *row);
        }
        let number = self.sets.number_of(&[set])?;
        self.points.insert(point, number);
        Ok(())
    }

    /// The sampling rates of what was counted under them.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// The distinct sampling rates of rules other than 1, in order. A flow entry has the number of one, from 1
/// on; 0 where every packet was counted.
#[derive(Debug, Clone, Default)]
pub struct Rates(Arc<[u32]>);

impl Rates {
    fn new(rows: &[Row]) -> Result<Self, TooMany> {
        let one_in = |row: &Row| match row.action {
            Action::Allow { one_in } if one_in > 1 => Some(one_in),
            _ => None,
        };
        let rates: BTreeSet<u32> = rows.iter().filter_map(one_in).collect();
        if rates.len() > 255 {
            Err(TooMany::Rates(rates.len()))
        } else {
            Ok(Self(rates.into_iter().collect()))
        }
    }

    /// The one with this number: a flow entry stands for one in so many packets.
    pub fn of(&self, number: u8) -> u32 {
        usize::from(number).checked_sub(1).and_then(|place| self.0.get(place)).copied().unwrap_or(1)
    }

    /// Whether none of the rules samples.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn number_of(&self, one_in: u32) -> u32 {
        self.0.binary_search(&one_in).map_or(0, |place| place as u32 + 1)
    }
}

fn action(row: &Row, rates: &Rates) -> RuleAction {
    match row.action {
        Action::Deny => RuleAction { one_in: 0, rate: 0 },
        Action::Allow { one_in } => RuleAction { one_in, rate: rates.number_of(one_in) },
    }
}

/// Builds the trie of every dimension that some row looks at.
fn head(rows: &[Row], sets: &mut Sets, trie: &mut Trie) -> Result<RuleHead, TooMany> {
    let mut head = RuleHead::default();
    let mut root = |dimension: Dimension, sets: &mut Sets| -> Result<u32, TooMany> {
        let root = trie.new_root().ok_or(TooMany::Memory)?;
        for (range, pair) in elementary(rows, dimension) {
            let set = sets.number_of(&pair)?;
            trie.fill(root, dimension.bytes(), range, set).ok_or(TooMany::Memory)?;
        }
        Ok(root)
    };
    head.dimensions = dimensions(rows);
    if head.dimensions & (RULE_SOURCE | RULE_DESTINATION) != 0 {
        head.address4 = root(Dimension::Address4, sets)?;
        head.address6 = root(Dimension::Address6, sets)?;
        head.no_address = sets.number_of(&ranges::without_addresses(rows))?;
    }
    if head.dimensions & (RULE_FIRST | RULE_SECOND) != 0 {
        head.transport = root(Dimension::Transport, sets)?;
    }
    if head.dimensions & RULE_NETWORK != 0 {
        head.network = root(Dimension::Network, sets)?;
    }
    if head.dimensions & RULE_VLAN != 0 {
        head.vlan = root(Dimension::Vlan, sets)?;
    }
    Ok(head)
}

/// The dimensions that some row looks at.
fn dimensions(rows: &[Row]) -> u32 {
    rows.iter().fold(0, |looks, row| {
        let of = |looks: bool, dimension: u32| if looks { dimension } else { 0 };
        looks
            | of(row.source.is_some(), RULE_SOURCE)
            | of(row.destination.is_some(), RULE_DESTINATION)
            | of(row.first.is_some(), RULE_FIRST)
            | of(row.second.is_some(), RULE_SECOND)
            | of(row.network.is_some(), RULE_NETWORK)
            | of(row.vlan.is_some(), RULE_VLAN)
            | of(row.at_points, RULE_POINT)
    })
}

/// Sets of rows by number, each kept once. Number 0 is that of all rows.
#[derive(Debug, Clone)]
struct Sets {
    sets: Vec<RuleSet>,
    numbers: HashMap<Vec<RuleSet>, u32>,
    limit: usize,
}

impl Sets {
    fn new(room: Room) -> Self {
        let all = RuleSet { rows: [u64::MAX; RULE_WORDS as usize] };
        let limit = room.sets.min(RULE_BLOCK / 2) as usize;
        Self { sets: vec![all], numbers: HashMap::from([(vec![all], 0)]), limit }
    }

    /// The number of the first of `group`, which stand one after the other.
    fn number_of(&mut self, group: &[RuleSet]) -> Result<u32, TooMany> {
        if let Some(number) = self.numbers.get(group) {
            return Ok(*number);
        }
        let number = self.sets.len();
        if number + group.len() > self.limit {
            return Err(TooMany::Memory);
        }
        self.sets.extend_from_slice(group);
        self.numbers.insert(group.to_vec(), number as u32);
        Ok(number as u32)
    }
}

fn set_bit(set: &mut RuleSet, row: usize) {
    set.rows[row / 64] |= 1 << (row % 64);
}

fn clear_bit(set: &mut RuleSet, row: usize) {
    set.rows[row / 64] &= !(1 << (row % 64));
}

#[cfg(test)]
fn has_bit(set: &RuleSet, row: usize) -> bool {
    set.rows[row / 64] >> (row % 64) & 1 == 1
}
