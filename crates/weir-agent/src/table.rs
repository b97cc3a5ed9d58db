//! The flow table: what all CPUs and generations have counted of a flow, until it ends.

use crate::decode;
use hashbrown::HashMap;
use std::time::Duration;
use weir_kernel::{ECN_SEEN_SHIFT, FRAGMENT_SEEN, FlowAddresses, FlowEntry};
use weir_probes::flows::Ticks;
use weir_record::{Count, FlowEndReason, FlowKey};

const FIN: u16 = 0x01;
const RST: u16 = 0x04;
const TCP_FLAGS: u16 = (1 << ECN_SEEN_SHIFT) - 1;

/// A flow at one observation point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Number of the observation point.
    pub point: u16,
    /// The flow.
    pub key: FlowKey,
}

/// What is known of a flow so far.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
    /// All that was counted.
    pub count: Count,
    /// What has come since the last drain.
    pub fresh: Count,
    /// What the last drain brought.
    pub recent: Count,
    /// As the record has it.
    pub dscp_seen: u64,
    /// Smallest and largest wire packet.
    pub length: (u32, u32),
    /// All flags seen.
    pub tcp_flags: u16,
    /// All ECN codepoints seen.
    pub ecn_seen: u8,
    /// Of the first packet.
    pub dscp: u8,
    /// Smallest and largest.
    pub ttl: (u8, u8),
    /// Whether there were fragments.
    pub fragmented: bool,
}

impl Flow {
    fn new(entry: &FlowEntry, ticks: &Ticks) -> Self {
        let count = Count { packets: entry.packets, bytes: entry.bytes };
        Self {
            start: ticks.unix_of(entry.first),
            end: ticks.unix_of(entry.last),
            count,
            fresh: count,
            recent: Count::default(),
            dscp_seen: entry.dscp_seen,
            length: (entry.min_length, entry.max_length),
            tcp_flags: entry.tcp_flags & TCP_FLAGS,
            ecn_seen: (entry.tcp_flags >> ECN_SEEN_SHIFT) as u8,
            dscp: entry.dscp,
            ttl: (entry.min_ttl, entry.max_ttl),
            fragmented: u32::from(entry.fragments) & FRAGMENT_SEEN != 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.start < self.start {
            self.start = other.start;
            self.dscp = other.dscp;
        }
        self.end = self.end.max(other.end);
        self.count += other.count;
        self.fresh += other.fresh;
        self.dscp_seen |= other.dscp_seen;
        self.length = (self.length.0.min(other.length.0), self.length.1.max(other.length.1));
        self.tcp_flags |= other.tcp_flags;
        self.ecn_seen |= other.ecn_seen;
        self.ttl = (self.ttl.0.min(other.ttl.0), self.ttl.1.max(other.ttl.1));
        self.fragmented |= other.fragmented;
    }

    fn ended(&self) -> bool {
        self.tcp_flags & (FIN | RST) != 0
    }

    /// Why the record ends now, if it does.
    fn end_reason(&self, now: u64, timeouts: &Timeouts) -> Option<FlowEndReason> {
        let quiet = self.fresh.packets == 0;
        if quiet && self.ended() {
            // A whole interval after FIN or RST: the last acknowledgements are in.
            Some(FlowEndReason::EndOfFlowDetected)
        } else if quiet && now.saturating_sub(self.end) >= timeouts.idle {
            Some(FlowEndReason::IdleTimeout)
        } else if now.saturating_sub(self.start) >= timeouts.active {
            Some(FlowEndReason::ActiveTimeout)
        } else {
            None
        }
    }
}

/// Idle and active timeout (RFC 7011 section 5.1.1), in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    idle: u64,
    active: u64,
}

impl Timeouts {
    fn new(idle: Duration, active: Duration) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { idle: nanos(idle), active: nanos(active) }
    }
}

/// A flow as a live view shows it.
#[derive(Debug, Clone, Copy)]
pub struct LiveFlow {
    /// Which flow, where.
    pub place: Place,
    /// What is known of it.
    pub flow: Flow,
}

/// Every flow that has not ended.
#[derive(Debug)]
pub struct Table {
    flows: HashMap<Place, Flow>,
    timeouts: Timeouts,
    max_flows: usize,
}

impl Table {
    /// An empty table of at most `max_flows`.
    pub fn new(idle: Duration, active: Duration, max_flows: usize) -> Self {
        Self { flows: HashMap::new(), timeouts: Timeouts::new(idle, active), max_flows }
    }

    /// Has other limits from now on. Flows beyond the new maximum stay until they end.
    pub fn limit(&mut self, idle: Duration, active: Duration, max_flows: usize) {
        (self.timeouts, self.max_flows) = (Timeouts::new(idle, active), max_flows);
    }

    /// Merges what one CPU has counted. Where the table is full and the flow is new, it comes
    /// straight back, to be exported for lack of resources: a packet is never dropped here.
    pub fn add(
        &mut self,
        entry: &FlowEntry,
        wide: Option<&FlowAddresses>,
        ticks: &Ticks,
    ) -> Option<(Place, Flow)> {
        let place = Place { point: entry.point, key: decode::key(entry, wide) };
        let flow = Flow::new(entry, ticks);
        let full = self.flows.len() >= self.max_flows;
        match self.flows.entry(place) {
            hashbrown::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(&flow),
            hashbrown::hash_map::Entry::Vacant(_) if full => return Some((place, flow)),
            hashbrown::hash_map::Entry::Vacant(new) => {
                new.insert(flow);
            }
        }
        None
    }

    /// Takes out the flows that have ended by `now`, and starts the next interval for the others.
    pub fn expire(&mut self, now: u64, mut ended: impl FnMut(Place, &Flow, FlowEndReason)) {
        let timeouts = self.timeouts;
        self.flows.retain(|place, flow| match flow.end_reason(now, &timeouts) {
            Some(reason) => {
                ended(*place, flow, reason);
                false
            }
            None => {
                flow.recent = std::mem::take(&mut flow.fresh);
                true
            }
        });
        self.release_memory();
    }

    /// Takes out every flow for which `gone` holds, by force.
    pub fn force(&mut self, gone: impl Fn(u16) -> bool, mut ended: impl FnMut(Place, &Flow, FlowEndReason)) {
        self.flows.retain(|place, flow| {
            if !gone(place.point) {
                return true;
            }
            let reason =
                if flow.ended() { FlowEndReason::EndOfFlowDetected } else { FlowEndReason::ForcedEnd };
            ended(*place, flow, reason);
            false
        });
    }

    /// The `most` flows that moved the most bytes in the last interval, the busiest first.
    pub fn busiest(&self, most: usize) -> Vec<LiveFlow> {
        let mut flows: Vec<_> =
            self.flows.iter().map(|(place, flow)| LiveFlow { place: *place, flow: *flow }).collect();
        let busier = |a: &LiveFlow, b: &LiveFlow| {
            let rank = |live: &LiveFlow| (live.flow.recent.bytes, live.flow.end, live.flow.count.bytes);
            rank(b).cmp(&rank(a))
        };
        if flows.len() > most && most > 0 {
            flows.select_nth_unstable_by(most - 1, busier);
        }
        flows.truncate(most);
        flows.sort_unstable_by(busier);
        flows
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// After a burst of flows the table does not keep its peak for ever.
    fn release_memory(&mut self) {
        if self.flows.capacity() > 8192 && self.flows.len() < self.flows.capacity() / 8 {
            self.flows.shrink_to(self.flows.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::LINK_IPV4;
    use weir_kernel::LINK_PORTS;

    const SECOND: u64 = 1_000_000_000;

    fn table(max_flows: usize) -> Table {
        Table::new(Duration::from_secs(15), Duration::from_secs(60), max_flows)
    }

    /// What a CPU counted of flow `port`: `packets` of 100 bytes, all in the tick of the reading.
    fn entry(port: u16, packets: u64, tcp_flags: u16) -> FlowEntry {
        FlowEntry {
            source_port: port.to_be(),
            link: (LINK_IPV4 | LINK_PORTS) as u16,
            protocol: 6,
            point: 2,
            packets,
            bytes: packets * 100,
            tcp_flags,
            ..FlowEntry::default()
        }
    }

    fn ended(table: &mut Table, now: u64) -> Vec<(u64, FlowEndReason)> {
        let mut ended = Vec::new();
        table.expire(now, |_, flow, reason| ended.push((flow.count.packets, reason)));
        ended
    }

    #[test]
    fn parts_of_a_flow_are_one_flow() {
        let (mut table, ticks) = (table(10), Ticks::at(100 * SECOND));
        for packets in [1, 2, 3] {
            assert!(table.add(&entry(7, packets, 0), None, &ticks).is_none());
        }
        assert_eq!(table.len(), 1);
        assert!(ended(&mut table, 101 * SECOND).is_empty());
        assert_eq!(table.busiest(5)[0].flow.recent, Count { packets: 6, bytes: 600 });
        assert_eq!(ended(&mut table, 115 * SECOND), [(6, FlowEndReason::IdleTimeout)]);
    }

    #[test]
    fn fin_ends_a_flow_after_a_quiet_interval() {
        let (mut table, ticks) = (table(10), Ticks::at(100 * SECOND));
        table.add(&entry(7, 5, FIN), None, &ticks);
        assert!(ended(&mut table, 100 * SECOND).is_empty(), "the last acknowledgements may follow");
        assert_eq!(ended(&mut table, 101 * SECOND), [(5, FlowEndReason::EndOfFlowDetected)]);
    }

    #[test]
    fn a_flow_that_goes_on_gets_a_record_at_the_active_timeout() {
        let mut table = table(10);
        for second in 100..160 {
            table.add(&entry(7, 1, 0), None, &Ticks::at(second * SECOND));
            assert!(ended(&mut table, second * SECOND).is_empty());
        }
        table.add(&entry(7, 1, 0), None, &Ticks::at(160 * SECOND));
        assert_eq!(ended(&mut table, 160 * SECOND), [(61, FlowEndReason::ActiveTimeout)]);
    }

    #[test]
    fn a_full_table_hands_new_flows_back() {
        let (mut table, ticks) = (table(1), Ticks::at(100 * SECOND));
        assert!(table.add(&entry(1, 1, 0), None, &ticks).is_none());
        assert!(table.add(&entry(2, 4, 0), None, &ticks).is_some_and(|(_, flow)| flow.count.packets == 4));
        assert!(table.add(&entry(1, 1, 0), None, &ticks).is_none(), "a known flow still finds its place");
    }

    #[test]
    fn new_limits_hold_at_once_and_drop_nothing() {
        let (mut table, ticks) = (table(10), Ticks::at(100 * SECOND));
        for port in [1, 2, 3] {
            table.add(&entry(port, 1, 0), None, &ticks);
        }
        assert!(ended(&mut table, 103 * SECOND).is_empty());
        table.limit(Duration::from_secs(2), Duration::from_secs(60), 1);
        assert_eq!(table.len(), 3);
        assert!(table.add(&entry(4, 1, 0), None, &ticks).is_some(), "more than the new maximum are there");
        assert_eq!(ended(&mut table, 103 * SECOND), [(1, FlowEndReason::IdleTimeout); 3]);
    }

    #[test]
    fn the_busiest_come_first() {
        let (mut table, ticks) = (table(10), Ticks::at(100 * SECOND));
        for port in [3, 9, 5] {
            table.add(&entry(port, u64::from(port), 0), None, &ticks);
        }
        ended(&mut table, 100 * SECOND);
        let packets: Vec<_> = table.busiest(2).iter().map(|live| live.flow.count.packets).collect();
        assert_eq!(packets, [9, 5]);
    }
}
