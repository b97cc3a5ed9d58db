//! From a conversation to its record.

use super::choice::{Order, by_time};
use super::rank::distance_from_wire;
use super::table::Ending;
use super::tally::Tally;
use crate::Books;
use std::sync::Arc;
use weir_record::{
    Count, Direction, FlowRecord, Initiator, Interface, Moved, Observation, Reverse, Translation,
};

/// A conversation as a live view shows it.
#[derive(Debug, Clone)]
pub struct LiveFlow {
    /// As its record would be if it ended now.
    pub record: FlowRecord,
    /// Bytes of both directions that the last drain brought.
    pub recent_bytes: u64,
}

/// As a live view shows it.
pub(crate) fn live(ending: Ending<'_>, recent_bytes: u64, books: &Books) -> Option<LiveFlow> {
    Some(LiveFlow { record: record(ending, books)?, recent_bytes })
}

/// The record of a conversation. None where the books know none of its observation points, and
/// so hold nothing of it.
pub(crate) fn record(ending: Ending<'_>, books: &Books) -> Option<FlowRecord> {
    let mut ending = ending;
    let (initiator, picked) = pick(&mut ending, books);
    let Ending { key, conversation, tallies, joining, others, reason } = ending;
    let joined = joining.is_joined(&key.flow);
    let [counted, counted_back] = picked.map(|place| place.map(|place| &tallies[place]));
    let place = Place::of(counted.or(counted_back).or(tallies.first())?, initiator.reverse, books)?;
    let flow = if initiator.reverse { key.flow.reversed()? } else { key.flow };
    let translated = others.translations.behind(conversation.translation, &flow);
    let of = counted.copied().unwrap_or_default();
    Some(FlowRecord {
        flow_id: conversation.id,
        parent_id: others.carriers.of(conversation.carrier()),
        interface: place.interface,
        direction: place.direction,
        key: flow.with_vlan(place.vlan),
        start: tallies.iter().map(|tally| tally.first).min()?,
        end: tallies.iter().map(|tally| tally.last).max()?,
        packets: of.count.packets,
        bytes: of.count.bytes,
        tcp_flags: of.tcp_flags,
        reverse: joined.then(|| Reverse {
            count: counted_back.map_or_else(Count::default, |tally| tally.count),
            tcp_flags: counted_back.map_or(0, |tally| tally.tcp_flags),
            sampling_rate: counted_back.map_or(1, |tally| tally.spot.rate),
            evidence: initiator.evidence,
        }),
        tcp_state: conversation.tcp_state(&key.flow),
        dscp: of.dscp,
        dscp_seen: of.dscp_seen,
        ecn_seen: of.ecn_seen,
        ttl: of.ttl,
        length: of.length,
        fragmented: tallies.iter().any(|tally| tally.fragmented),
        sampling_rate: counted.map_or(1, |tally| tally.spot.rate),
        end_reason: reason,
        observations: tallies.iter().filter_map(|t| observation(t, initiator.reverse, books)).collect(),
        translation: translated.and_then(|flow| Translation::to(&flow)),
        dropped: None,
        source: Default::default(),
        destination: Default::default(),
    })
}

/// What the record of a conversation counts; nothing where there is none.
pub(crate) fn moved(mut ending: Ending<'_>, books: &Books) -> Moved {
    let (_, picked) = pick(&mut ending, books);
    let [counted, counted_back] = picked.map(|place| place.map(|place| &ending.tallies[place]));
    let shown = counted.or(counted_back).or(ending.tallies.first());
    if shown.and_then(|tally| books.account(tally.spot.point)).is_none() {
        return Moved::default();
    }
    let [forth, back] = [counted, counted_back].map(|tally| tally.map_or_else(Count::default, |t| t.count));
    Moved { forth, back }
}

/// Who began it, and which tally counts for each direction: places in the tallies, which are put in order.
fn pick(ending: &mut Ending<'_>, books: &Books) -> (Initiator, [Option<usize>; 2]) {
    let Ending { key, conversation, tallies, joining, .. } = ending;
    let joined = joining.is_joined(&key.flow);
    let initiator = if joined { conversation.judge(&key.flow, tallies) } else { Initiator::UNKNOWN };
    // The initiator's direction first, each in the order in which its packets came by.
    tallies.sort_unstable_by_key(|tally| (tally.spot.reverse != initiator.reverse, by_time(tally)));
    let distance = |point| books.account(point).map_or(0, |account| distance_from_wire(&account.interface));
    let order = Order { dedup: joining.dedup, distance: &distance };
    let exported = conversation.exported();
    (initiator, conversation.chosen.pick(tallies, initiator.reverse, exported, &order))
}

/// Where a record says that it was counted.
struct Place {
    interface: Arc<Interface>,
    direction: Direction,
    vlan: Option<u16>,
}

impl Place {
    /// That of `tally`, seen in the initiator's direction.
    fn of(tally: &Tally, initiator_reverse: bool, books: &Books) -> Option<Self> {
        let account = books.account(tally.spot.point)?;
        let seen = account.direction;
        let direction = if tally.spot.reverse == initiator_reverse { seen } else { seen.opposite() };
        Some(Self { interface: Arc::clone(&account.interface), direction, vlan: tally.spot.vlan })
    }
}

fn observation(tally: &Tally, initiator_reverse: bool, books: &Books) -> Option<Observation> {
    let account = books.account(tally.spot.point)?;
    Some(Observation {
        point: tally.spot.point,
        interface: Arc::clone(&account.interface),
        direction: account.direction,
        layer: account.layer,
        vlan: tally.spot.vlan,
        translated: tally.spot.translated,
        reverse: tally.spot.reverse != initiator_reverse,
        count: tally.count,
    })
}
