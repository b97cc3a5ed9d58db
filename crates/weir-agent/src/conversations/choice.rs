//! Which of the observations of the same packets counts, so that none is counted twice.

use super::key::Dedup;
use super::tally::{Spot, Tally};
use std::cmp::Reverse;

/// Packets that are under way between two points while a record ends are through by then, in nanoseconds.
const UNDER_WAY: u64 = 1_000_000_000;

/// Where each direction of a conversation is counted, once a record has been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chosen([Option<Spot>; 2]);

impl Chosen {
    /// Picks the tally that counts, for the direction that the initiator sends and for the other
    /// one: places in `tallies`. What was chosen for a record before stays so: a packet that was
    /// counted there is not counted again where it arrives later. `exported` is when that was.
    pub fn pick(
        &mut self,
        tallies: &[Tally],
        initiator_reverse: bool,
        exported: Option<u64>,
        order: &Order<'_>,
    ) -> [Option<usize>; 2] {
        let lead = self.pick_one(tallies, initiator_reverse, exported, (order, None));
        let beside = lead.map(|place| tallies[place].spot.point);
        let other = self.pick_one(tallies, !initiator_reverse, exported, (order, beside));
        [lead, other]
    }

    fn pick_one(
        &mut self,
        tallies: &[Tally],
        reverse: bool,
        exported: Option<u64>,
        (order, beside): (&Order<'_>, Option<u16>),
    ) -> Option<usize> {
        let chosen = &mut self.0[usize::from(reverse)];
        if let Some(place) =
            chosen.and_then(|spot| tallies.iter().position(|tally| tally.spot.is_where(&spot)))
        {
            return Some(place);
        }
        // A place that has fallen silent gives way to one that goes on, not to one where the
        // packets that it counted before have only just arrived.
        let settled = exported.filter(|_| chosen.is_some()).map_or(0, |time| time + UNDER_WAY);
        let elsewhere = |tally: &Tally| beside.is_none_or(|point| point >> 1 != tally.spot.point >> 1);
        let place = (0..tallies.len())
            .filter(|place| tallies[*place].spot.reverse == reverse && tallies[*place].last >= settled)
            .min_by_key(|place| (elsewhere(&tallies[*place]), order.rank(&tallies[*place])))?;
        *chosen = Some(tallies[place].spot);
        Some(place)
    }
}

/// What comes first.
pub struct Order<'a> {
    /// The user's choice.
    pub dedup: Dedup,
    /// How far the interface of an observation point is from the wire.
    pub distance: &'a dyn Fn(u16) -> u8,
}

impl Order<'_> {
    /// Where the rules take most packets, then by distance if asked for, then by time.
    fn rank(&self, tally: &Tally) -> (u32, u8, ByTime) {
        let distance = match self.dedup {
            Dedup::Off | Dedup::First => 0,
            Dedup::Outer => (self.distance)(tally.spot.point),
            Dedup::Inner => u8::MAX - (self.distance)(tally.spot.point),
        };
        (tally.spot.rate, distance, by_time(tally))
    }
}

type ByTime = (u64, Reverse<u64>, u16, Spot);

/// The order in which the packets came by. Within a tick: first where most was seen, since
/// packets get lost on their way but not found; ingress before egress; the interface met earlier.
pub fn by_time(tally: &Tally) -> ByTime {
    (tally.first, Reverse(tally.count.packets), tally.spot.point & 1, tally.spot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversations::samples::tally;

    /// The wire is at points 2 and 3, a bridge at 4 and 5, a container at 6 and 7.
    fn points(dedup: Dedup, tallies: &[Tally]) -> [Option<u16>; 2] {
        let order = Order { dedup, distance: &|point| (point / 2) as u8 };
        let picked = Chosen::default().pick(tallies, false, None, &order);
        picked.map(|place| place.map(|place| tallies[place].spot.point))
    }

    #[test]
    fn the_first_the_outermost_the_innermost() {
        // A container asks the world: in at 6, out at 3; the answer comes in at 2.
        let tallies = [
            tally(3, false, 110, 10),
            tally(6, false, 100, 10),
            tally(2, true, 200, 9),
            tally(5, true, 210, 9),
            tally(7, true, 220, 9),
        ];
        assert_eq!(points(Dedup::First, &tallies), [Some(6), Some(7)], "both at the same interface");
        assert_eq!(points(Dedup::Outer, &tallies), [Some(3), Some(2)]);
        assert_eq!(points(Dedup::Inner, &tallies), [Some(6), Some(7)]);
    }

    #[test]
    fn within_a_tick_where_most_was_seen() {
        assert_eq!(points(Dedup::First, &[tally(3, false, 1, 9), tally(5, false, 1, 10)]), [Some(5), None]);
        assert_eq!(points(Dedup::First, &[tally(3, false, 1, 9), tally(4, false, 1, 9)]), [Some(4), None]);
        assert_eq!(points(Dedup::First, &[tally(5, true, 1, 9), tally(3, true, 1, 9)]), [None, Some(3)]);
    }

    #[test]
    fn what_was_chosen_stays_until_it_falls_silent() {
        let order = Order { dedup: Dedup::First, distance: &|_| 0 };
        let mut chosen = Chosen::default();
        chosen.pick(&[tally(2, false, 100, 9)], false, None, &order);
        let exported = Some(1_000);
        let both = [tally(5, false, 2_000, 9), tally(2, false, 3_000, 9)];
        assert_eq!(chosen.pick(&both, false, exported, &order), [Some(1), None]);
        let under_way = [tally(5, false, 1_001, 1)];
        assert_eq!(chosen.pick(&under_way, false, exported, &order), [None, None]);
        let moved = [tally(5, false, 2_000 + UNDER_WAY, 1)];
        assert_eq!(chosen.pick(&moved, false, exported, &order), [Some(0), None]);
    }
}
