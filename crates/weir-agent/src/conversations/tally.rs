//! What one observation point has counted of one direction of a conversation.

use weir_kernel::{ECN_SEEN_SHIFT, FRAGMENT_SEEN, FlowEntry};
use weir_probes::flows::Ticks;
use weir_record::Count;

const TCP_FLAGS: u16 = (1 << ECN_SEEN_SHIFT) - 1;

/// Where, and in which direction of the conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Number of the observation point.
    pub point: u16,
    /// Whether it is the conversation's reverse direction.
    pub reverse: bool,
    /// Outer VLAN id.
    pub vlan: Option<u16>,
    /// Whether the packets had the translated addresses.
    pub translated: bool,
    /// One in so many packets is counted there.
    pub rate: u32,
}

impl Spot {
    /// Whether it is the same place, whatever the rules take there.
    pub fn is_where(&self, other: &Self) -> bool {
        Self { rate: other.rate, ..*self } == *other
    }
}

/// Counters of one spot, since the record began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Where.
    pub spot: Spot,
    /// Whether there were fragments.
    pub fragmented: bool,
    /// DSCP of the first packet.
    pub dscp: u8,
    /// All ECN codepoints seen.
    pub ecn_seen: u8,
    /// Smallest and largest TTL.
    pub ttl: (u8, u8),
    /// All TCP flags seen.
    pub tcp_flags: u16,
    /// Smallest and largest wire packet.
    pub length: (u32, u32),
    /// All DSCP values seen.
    pub dscp_seen: u64,
    /// First packet, nanoseconds since the Unix epoch.
    pub first: u64,
    /// Last packet.
    pub last: u64,
    /// All that was counted.
    pub count: Count,
    /// Of these, the bytes that were known before `interval`.
    bytes_before: u64,
    /// The last interval in which something came.
    interval: u32,
    /// The conversation's next one.
    next: u32,
}

impl Tally {
    /// What `entry` holds.
    pub fn new(entry: &FlowEntry, spot: Spot, ticks: &Ticks, interval: u32) -> Self {
        Self {
            spot,
            fragmented: u32::from(entry.marks) & FRAGMENT_SEEN != 0,
            dscp: entry.dscp,
            ecn_seen: (entry.tcp_flags >> ECN_SEEN_SHIFT) as u8,
            ttl: (entry.min_ttl, entry.max_ttl),
            tcp_flags: entry.tcp_flags & TCP_FLAGS,
            length: (entry.min_length, entry.max_length),
            dscp_seen: entry.dscp_seen,
            first: ticks.unix_of(entry.first),
            last: ticks.unix_of(entry.last),
            count: Count { packets: entry.packets, bytes: entry.bytes },
            bytes_before: 0,
            interval,
            next: NONE,
        }
    }

    /// Bytes that came in `interval`, if that is the last one in which any came.
    pub fn bytes_in(&self, interval: u32) -> u64 {
        if self.interval == interval { self.count.bytes - self.bytes_before } else { 0 }
    }

    fn merge(&mut self, other: &Self) {
        if self.interval != other.interval {
            (self.interval, self.bytes_before) = (other.interval, self.count.bytes);
        }
        if other.first < self.first {
            (self.first, self.dscp) = (other.first, other.dscp);
        }
        self.last = self.last.max(other.last);
        self.count += other.count;
        self.dscp_seen |= other.dscp_seen;
        self.length = (self.length.0.min(other.length.0), self.length.1.max(other.length.1));
        self.tcp_flags |= other.tcp_flags;
        self.ecn_seen |= other.ecn_seen;
        self.ttl = (self.ttl.0.min(other.ttl.0), self.ttl.1.max(other.ttl.1));
        self.fragmented |= other.fragmented;
    }
}

/// The end of a list, and an empty one.
pub const NONE: u32 = u32::MAX;

/// Every tally, in short lists: a list's head is with its conversation. In one piece of memory,
/// so that nothing is allocated for a conversation however many points see it.
#[derive(Debug)]
pub struct Tallies {
    all: Vec<Tally>,
    free: u32,
    in_use: usize,
    /// How many there are of each observation point.
    at: Vec<u32>,
}

impl Tallies {
    /// None.
    pub fn new() -> Self {
        Self { all: Vec::new(), free: NONE, in_use: 0, at: Vec::new() }
    }

    /// Adds what was counted to the list that begins at `head`.
    pub fn add(&mut self, head: &mut u32, found: Tally) {
        let mut at = *head;
        while let Some(tally) = self.all.get_mut(at as usize) {
            if tally.spot == found.spot {
                return tally.merge(&found);
            }
            at = tally.next;
        }
        *head = self.insert(Tally { next: *head, ..found });
    }

    /// Those of the list that begins at `head`.
    pub fn of(&self, head: u32) -> impl Iterator<Item = &Tally> {
        let at = |place: u32| self.all.get(place as usize);
        std::iter::successors(at(head), move |tally| at(tally.next))
    }

    /// Takes all those out.
    pub fn clear(&mut self, head: &mut u32) {
        let mut at = std::mem::replace(head, NONE);
        while let Some(tally) = self.all.get_mut(at as usize) {
            self.at[usize::from(tally.spot.point)] -= 1;
            self.in_use -= 1;
            let next = std::mem::replace(&mut tally.next, self.free);
            self.free = std::mem::replace(&mut at, next);
        }
    }

    /// Whether there is one at a point for which `wanted` holds.
    pub fn any_at(&self, wanted: impl Fn(u16) -> bool) -> bool {
        self.at.iter().zip(0u16..).any(|(count, point)| *count > 0 && wanted(point))
    }

    /// Whether most of the memory lies idle.
    pub fn is_sparse(&self) -> bool {
        self.all.len() > 8192 && self.in_use < self.all.len() / 8
    }

    /// Moves the lists that begin at `heads` together, and gives the rest of the memory back.
    pub fn compact<'a>(&mut self, heads: impl Iterator<Item = &'a mut u32>) {
        let mut moved = Self { all: Vec::with_capacity(self.in_use * 2), ..Self::new() };
        for head in heads {
            let mut to = NONE;
            self.of(*head).for_each(|tally| to = moved.insert(Tally { next: to, ..*tally }));
            *head = to;
        }
        *self = moved;
    }

    fn insert(&mut self, tally: Tally) -> u32 {
        let point = usize::from(tally.spot.point);
        if self.at.len() <= point {
            self.at.resize(point + 1, 0);
        }
        self.at[point] += 1;
        self.in_use += 1;
        match self.all.get_mut(self.free as usize) {
            Some(free) => {
                let place = std::mem::replace(&mut self.free, free.next);
                *free = tally;
                place
            }
            None => {
                self.all.push(tally);
                (self.all.len() - 1) as u32
            }
        }
    }
}
