//! Conversations out of packets, by the rules of the agent (docs/conversations.md): as it keeps them with
//! `--dedup off`, each interface by itself. The clock is that of the packets.

use crate::error::Result;
use crate::fragments::Fragments;
use crate::packet::Packet;
use crate::report::Output;
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::Duration;
use weir_record::{
    Count, Direction, FlowEndReason, FlowKey, FlowRecord, Initiator, Interface, Layer, Observation, Reverse,
    TcpEnd, TcpState,
};

/// How often the agent looks which conversations have ended, in nanoseconds.
const INTERVAL: u64 = 1_000_000_000;
/// Conversations that are held at a time.
const MAX_FLOWS: usize = 500_000;

/// When records end (RFC 7011 section 5.1.1).
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Without a packet for so long.
    pub idle: Duration,
    /// After so long, and the conversation goes on in another.
    pub active: Duration,
}

/// A packet at its place and time.
pub(crate) struct Sighting {
    pub place: u32,
    /// Where the file says it.
    pub direction: Option<Direction>,
    pub time: u64,
    /// On the wire.
    pub bytes: u64,
    pub packet: Packet,
}

/// What tells one conversation from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    /// In its canonical direction.
    flow: FlowKey,
    place: u32,
}

/// Conversations that go on.
pub(crate) struct Meter {
    interfaces: Vec<Arc<Interface>>,
    conversations: HashMap<Key, Conversation>,
    fragments: Fragments,
    idle: u64,
    active: u64,
    /// When the interval ends.
    next: u64,
}

impl Meter {
    pub fn new(timeouts: Timeouts) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            interfaces: Vec::new(),
            conversations: HashMap::new(),
            fragments: Fragments::default(),
            idle: nanos(timeouts.idle),
            active: nanos(timeouts.active),
            next: 0,
        }
    }

    /// One more interface. Its number.
    pub fn open(&mut self, interface: Arc<Interface>) -> u32 {
        self.interfaces.push(interface);
        self.interfaces.len() as u32 - 1
    }

    /// Counts a packet.
    pub fn add(&mut self, seen: &Sighting, output: &mut Output<'_, '_>) -> Result<()> {
        self.advance(seen.time, output)?;
        let flow = self.fragments.key(&seen.packet, seen.place, seen.time);
        let reversed = if flow.is_canonical() == Some(false) { flow.reversed() } else { None };
        let key = Key { flow: reversed.unwrap_or(flow), place: seen.place };
        let is_full = self.conversations.len() >= MAX_FLOWS && !self.conversations.contains_key(&key);
        if is_full {
            let mut alone = Conversation::new(seen.time);
            alone.add(seen, reversed.is_some());
            return self.end(&key, &mut alone, FlowEndReason::LackOfResources, output);
        }
        let conversation = self.conversations.entry(key).or_insert_with(|| Conversation::new(seen.time));
        conversation.add(seen, reversed.is_some());
        Ok(())
    }

    /// Ends what is open when the file ends.
    pub fn finish(&mut self, output: &mut Output<'_, '_>) -> Result<()> {
        for (key, mut conversation) in std::mem::take(&mut self.conversations) {
            let reason = match conversation.is_over(&key.flow) {
                true => FlowEndReason::EndOfFlowDetected,
                false => FlowEndReason::ForcedEnd,
            };
            self.end(&key, &mut conversation, reason, output)?;
        }
        Ok(())
    }

    /// It is this time now: what has ended by then is handed out.
    fn advance(&mut self, time: u64, output: &mut Output<'_, '_>) -> Result<()> {
        if time.saturating_add(self.idle).saturating_add(INTERVAL) < self.next {
            // The clock was put back, or another capture was appended: nothing is known of what was between.
            self.finish(output)?;
            self.fragments = Fragments::default();
        }
        while !self.conversations.is_empty() && time >= self.next {
            self.sweep(self.next, output)?;
            self.next += INTERVAL;
        }
        if self.conversations.is_empty() {
            self.next = time + INTERVAL;
        }
        Ok(())
    }

    fn sweep(&mut self, now: u64, output: &mut Output<'_, '_>) -> Result<()> {
        let mut conversations = std::mem::take(&mut self.conversations);
        let mut outcome = Ok(());
        conversations.retain(|key, conversation| {
            let quiet = !std::mem::take(&mut conversation.is_seen);
            let (stays, reason) = if quiet && conversation.is_over(&key.flow) {
                // A whole interval after FIN or RST: the last acknowledgements are in.
                (false, FlowEndReason::EndOfFlowDetected)
            } else if quiet && now.saturating_sub(conversation.last) >= self.idle {
                (false, FlowEndReason::IdleTimeout)
            } else if now.saturating_sub(conversation.start()) >= self.active {
                (true, FlowEndReason::ActiveTimeout)
            } else {
                return true;
            };
            if outcome.is_ok() {
                outcome = self.end(key, conversation, reason, output);
            }
            stays
        });
        self.conversations = conversations;
        outcome
    }

    /// Hands a record out, if there is anything in it, and begins the next.
    fn end(
        &self,
        key: &Key,
        conversation: &mut Conversation,
        reason: FlowEndReason,
        output: &mut Output<'_, '_>,
    ) -> Result<()> {
        let record = conversation.record(key, reason, &self.interfaces);
        conversation.sides = Default::default();
        record.map_or(Ok(()), |record| output.record(record))
    }
}

/// What was counted of one direction since the record began.
#[derive(Debug, Clone, Copy)]
struct Side {
    direction: Option<Direction>,
    count: Count,
    first: u64,
    last: u64,
    tcp_flags: u16,
    dscp: u8,
    dscp_seen: u64,
    ecn_seen: u8,
    ttl: (u8, u8),
    length: (u32, u32),
    fragmented: bool,
}

impl Side {
    fn new(seen: &Sighting) -> Self {
        let Packet { traffic_class, ttl, .. } = seen.packet;
        Self {
            direction: seen.direction,
            count: Count::default(),
            first: seen.time,
            last: seen.time,
            tcp_flags: 0,
            dscp: traffic_class >> 2,
            dscp_seen: 0,
            ecn_seen: 0,
            ttl: (ttl, ttl),
            length: (u32::MAX, 0),
            fragmented: false,
        }
    }

    fn add(&mut self, seen: &Sighting) {
        let Packet { key, traffic_class, ttl, tcp_flags, fragment } = seen.packet;
        let length = u32::try_from(seen.bytes).unwrap_or(u32::MAX);
        if seen.time < self.first {
            (self.first, self.dscp) = (seen.time, traffic_class >> 2);
        }
        self.last = self.last.max(seen.time);
        self.count += Count { packets: 1, bytes: seen.bytes };
        self.tcp_flags |= tcp_flags;
        if key.protocol().is_some() {
            self.dscp_seen |= 1 << (traffic_class >> 2);
            self.ecn_seen |= 1 << (traffic_class & 3);
        }
        self.ttl = (self.ttl.0.min(ttl), self.ttl.1.max(ttl));
        self.length = (self.length.0.min(length), self.length.1.max(length));
        self.fragmented |= fragment.is_some();
    }
}

/// A conversation at one interface.
struct Conversation {
    began: u64,
    last: u64,
    /// Whether it was seen in this interval.
    is_seen: bool,
    ends: [TcpEnd; 2],
    initiator: Option<Initiator>,
    sides: [Option<Side>; 2],
}

impl Conversation {
    fn new(began: u64) -> Self {
        let (ends, sides) = Default::default();
        Self { began, last: began, is_seen: true, ends, initiator: None, sides }
    }

    fn add(&mut self, seen: &Sighting, reverse: bool) {
        self.last = self.last.max(seen.time);
        self.is_seen = true;
        let end = &mut self.ends[usize::from(reverse)];
        end.seen = true;
        end.flags |= seen.packet.tcp_flags;
        end.opened |= seen.packet.opens();
        end.answered |= seen.packet.answers();
        self.sides[usize::from(reverse)].get_or_insert_with(|| Side::new(seen)).add(seen);
    }

    /// The first packet of this record; never while there is none.
    fn start(&self) -> u64 {
        self.sides.iter().flatten().map(|side| side.first).min().unwrap_or(u64::MAX)
    }

    fn is_over(&self, key: &FlowKey) -> bool {
        key.is_tcp() && TcpState::of(self.ends).is_over()
    }

    /// None where nothing was counted since the last one.
    fn record(
        &mut self,
        key: &Key,
        reason: FlowEndReason,
        interfaces: &[Arc<Interface>],
    ) -> Option<FlowRecord> {
        let is_joined = key.flow.is_canonical().is_some();
        let first = self.sides.map(|side| side.map(|side| side.first));
        let initiator = match is_joined {
            true => *self.initiator.insert(Initiator::judge(self.initiator, &key.flow, &self.ends, first)),
            false => Initiator::UNKNOWN,
        };
        let (forth, back) = match (initiator.reverse, self.sides) {
            (false, [forth, back]) => (forth, back),
            (true, [back, forth]) => (forth, back),
        };
        let interface = interfaces.get(key.place as usize)?;
        let told = |side: Option<Side>| side.and_then(|side| side.direction);
        let direction =
            told(forth).or_else(|| told(back).map(Direction::opposite)).unwrap_or(Direction::Ingress);
        let flow = if initiator.reverse { key.flow.reversed()? } else { key.flow };
        let mut record = FlowRecord::blank(Arc::clone(interface), direction, flow);
        record.flow_id = key.flow.conversation_id(key.place, self.began);
        record.start = self.start();
        record.end = [forth, back].into_iter().flatten().map(|side| side.last).max()?;
        record.tcp_state = key.flow.is_tcp().then(|| TcpState::of(self.ends));
        record.fragmented = [forth, back].into_iter().flatten().any(|side| side.fragmented);
        record.end_reason = reason;
        record.reverse = is_joined.then(|| Reverse {
            count: back.map_or_else(Count::default, |side| side.count),
            tcp_flags: back.map_or(0, |side| side.tcp_flags),
            sampling_rate: 1,
            evidence: initiator.evidence,
        });
        if let Some(side) = forth {
            tell(&mut record, &side);
        }
        for (side, reverse, usual) in [(forth, false, direction), (back, true, direction.opposite())] {
            record.observations.extend(side.map(|side| Observation {
                point: 0,
                interface: Arc::clone(interface),
                direction: side.direction.unwrap_or(usual),
                layer: Layer::Outer,
                vlan: flow.vlan(),
                translated: false,
                reverse,
                count: side.count,
            }));
        }
        Some(record)
    }
}

/// What is said of packets from source to destination.
fn tell(record: &mut FlowRecord, side: &Side) {
    (record.packets, record.bytes) = (side.count.packets, side.count.bytes);
    record.tcp_flags = side.tcp_flags;
    (record.dscp, record.dscp_seen, record.ecn_seen) = (side.dscp, side.dscp_seen, side.ecn_seen);
    (record.ttl, record.length) = (side.ttl, side.length);
}
