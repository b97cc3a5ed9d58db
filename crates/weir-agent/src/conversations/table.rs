//! Every conversation that has not ended, and when each of them ends.

use super::carriers::Carriers;
use super::conversation::Conversation;
use super::key::{Joining, Key};
use super::tally::{Spot, Tallies, Tally};
use crate::Settings;
use crate::decode;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::cmp::Reverse;
use std::time::Duration;
use weir_probes::flows::{Seen, Ticks};
use weir_record::FlowEndReason;

/// Idle and active timeout (RFC 7011 section 5.1.1), in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    idle: u64,
    active: u64,
}

/// A record that ends.
pub(crate) struct Ending<'a> {
    /// Of which conversation.
    pub key: &'a Key,
    /// What is known of it.
    pub conversation: &'a mut Conversation,
    /// All that was counted of it; at least one.
    pub tallies: &'a mut [Tally],
    /// The conversation that carries it.
    pub parent_id: Option<u64>,
    /// Why.
    pub reason: FlowEndReason,
}

/// What one CPU has counted of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    /// As the probe has it.
    pub seen: Seen<'a>,
    /// The probe's digest of it, by which what it carries names it.
    pub digest: u64,
    /// One in so many of its packets was counted.
    pub rate: u32,
}

/// What becomes of a conversation.
enum Fate {
    /// Nothing yet.
    Stay,
    /// Its record ends, and another begins.
    Restart,
    /// It ends.
    End(FlowEndReason),
}

/// Every conversation that has not ended.
#[derive(Debug)]
pub(crate) struct Table {
    conversations: HashMap<Key, Conversation>,
    tallies: Tallies,
    carriers: Carriers,
    joining: Joining,
    timeouts: Timeouts,
    max_flows: usize,
    /// Counts the drains.
    interval: u32,
    /// When the last one was, in nanoseconds since the Unix epoch.
    now: u64,
}

impl Table {
    /// An empty one.
    pub fn new(settings: &Settings) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let timeouts =
            Timeouts { idle: nanos(settings.idle_timeout), active: nanos(settings.active_timeout) };
        let (conversations, tallies) = (HashMap::new(), Tallies::new());
        let (joining, max_flows) = (settings.joining, settings.max_flows);
        let carriers = Carriers::new(settings.idle_timeout);
        Self { conversations, tallies, carriers, joining, timeouts, max_flows, interval: 1, now: 0 }
    }

    /// What is joined in it.
    pub fn joining(&self) -> Joining {
        self.joining
    }

    /// Merges what one CPU has counted. A conversation that finds the table full is in it until
    /// the next drain exports it: a packet is never dropped here.
    pub fn add(&mut self, counted: Counted<'_>, ticks: &Ticks) {
        let Seen { entry, addresses, parent } = counted.seen;
        let directed = decode::key(entry, addresses);
        let (key, reverse) = self.joining.key(directed, entry.point, counted.rate);
        let spot = Spot { point: entry.point, reverse, vlan: self.joining.vlan(&directed) };
        let found = Tally::new(entry, spot, ticks, self.interval);
        let beyond = self.conversations.len() >= self.max_flows;
        let conversation = match self.conversations.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Conversation::new(found.first, beyond)),
        };
        conversation.note(&found, entry.marks, self.interval);
        if parent != 0 {
            conversation.carrier = parent;
        } else if Carriers::may_be(entry) {
            self.carriers.note(counted.digest, conversation.id(&key), found.last);
        }
        self.tallies.add(&mut conversation.tallies, found);
    }

    /// Ends what has ended by `now`, and begins the next interval for the rest.
    pub fn expire(&mut self, now: u64, ended: impl FnMut(Ending<'_>)) {
        let (timeouts, interval) = (self.timeouts, self.interval);
        self.now = now;
        self.sweep(|key, conversation, _| fate(key, conversation, &timeouts, (now, interval)), ended);
        self.interval = interval.wrapping_add(1);
        self.carriers.expire(now);
        self.release_memory();
    }

    /// Ends, by force, every conversation that has been seen only at points that are `gone`. One
    /// that others see as well goes on in another record.
    pub fn force(&mut self, gone: impl Fn(u16) -> bool, ended: impl FnMut(Ending<'_>)) {
        if !self.tallies.any_at(&gone) {
            return;
        }
        let fate = |key: &Key, conversation: &Conversation, tallies: &Tallies| {
            let mut points = tallies.of(conversation.tallies).map(|tally| tally.spot.point);
            let (total, lost) = points.by_ref().fold((0, 0), |(t, g), p| (t + 1, g + usize::from(gone(p))));
            match lost {
                0 => Fate::Stay,
                lost if lost < total => Fate::Restart,
                _ if conversation.is_over(&key.flow) => Fate::End(FlowEndReason::EndOfFlowDetected),
                _ => Fate::End(FlowEndReason::ForcedEnd),
            }
        };
        self.sweep(fate, ended);
    }

    /// Hands out the record of each conversation that ends or restarts, if it has any packets.
    fn sweep(
        &mut self,
        fate: impl Fn(&Key, &Conversation, &Tallies) -> Fate,
        mut ended: impl FnMut(Ending<'_>),
    ) {
        let Self { conversations, tallies: all, carriers, now, .. } = self;
        let mut own = Vec::new();
        conversations.retain(|key, conversation| {
            let (stays, reason) = match fate(key, conversation, all) {
                Fate::Stay => return true,
                Fate::Restart => (true, FlowEndReason::ActiveTimeout),
                Fate::End(reason) => (false, reason),
            };
            own.clear();
            own.extend(all.of(conversation.tallies).copied());
            if !own.is_empty() {
                let parent_id = carriers.of(conversation.carrier);
                ended(Ending { key, conversation, tallies: &mut own, parent_id, reason });
                all.clear(&mut conversation.tallies);
                conversation.restart(*now);
            }
            stays
        });
    }

    /// Shows the `most` conversations that moved the most bytes in the last interval, the busiest first.
    pub fn busiest(&self, most: usize, mut show: impl FnMut(Ending<'_>, u64)) {
        let last = self.interval.wrapping_sub(1);
        let mut busy: Vec<_> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| conversation.start != u64::MAX)
            .map(|(key, conversation)| {
                let recent = recent_bytes(self.tallies.of(conversation.tallies), last);
                ((recent, conversation.last, conversation.start), key, conversation)
            })
            .collect();
        if busy.len() > most && most > 0 {
            busy.select_nth_unstable_by_key(most - 1, |one| Reverse(one.0));
        }
        busy.truncate(most);
        busy.sort_unstable_by_key(|one| Reverse(one.0));
        for ((recent, ..), key, conversation) in busy {
            let mut own: Vec<_> = self.tallies.of(conversation.tallies).copied().collect();
            let (conversation, reason) = (&mut conversation.clone(), FlowEndReason::ForcedEnd);
            let parent_id = self.carriers.of(conversation.carrier);
            show(Ending { key, conversation, tallies: &mut own, parent_id, reason }, recent);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.conversations.len()
    }

    /// After a burst of flows the table does not keep its peak for ever.
    fn release_memory(&mut self) {
        let (length, capacity) = (self.conversations.len(), self.conversations.capacity());
        if capacity > 8192 && length < capacity / 8 {
            self.conversations.shrink_to(length * 2);
        }
        if self.tallies.is_sparse() {
            self.tallies.compact(self.conversations.values_mut().map(|one| &mut one.tallies));
        }
    }
}

/// What becomes of a conversation at the end of `interval`.
fn fate(key: &Key, conversation: &Conversation, timeouts: &Timeouts, (now, interval): (u64, u32)) -> Fate {
    let quiet = conversation.interval != interval;
    if conversation.beyond {
        Fate::End(FlowEndReason::LackOfResources)
    } else if quiet && conversation.is_over(&key.flow) {
        // A whole interval after FIN or RST: the last acknowledgements are in.
        Fate::End(FlowEndReason::EndOfFlowDetected)
    } else if quiet && now.saturating_sub(conversation.last) >= timeouts.idle {
        Fate::End(FlowEndReason::IdleTimeout)
    } else if now.saturating_sub(conversation.start) >= timeouts.active {
        Fate::Restart
    } else {
        Fate::Stay
    }
}

/// Bytes of both directions in `interval`, each as the point that saw most of it.
fn recent_bytes<'a>(tallies: impl Iterator<Item = &'a Tally>, interval: u32) -> u64 {
    let mut most = [0; 2];
    for tally in tallies {
        let direction = &mut most[usize::from(tally.spot.reverse)];
        *direction = (*direction).max(tally.bytes_in(interval));
    }
    most[0] + most[1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Books;
    use crate::conversations::samples::{books, entry, settings};
    use crate::conversations::{Dedup, record};
    use weir_kernel::LINK_VLAN;
    use weir_record::FlowRecord;

    const SECOND: u64 = 1_000_000_000;
    const FIN: u16 = 1;
    const SYN: u16 = 2;
    const ACK: u16 = 16;
    const THERE: (u16, u16) = (40_000, 80);
    const BACK: (u16, u16) = (80, 40_000);

    /// A table, and the books beside it.
    struct Stage {
        table: Table,
        books: Books,
    }

    impl Stage {
        fn new(joining: Joining, max_flows: usize) -> Self {
            Self { table: Table::new(&settings(joining, max_flows)), books: books() }
        }

        /// What a CPU has counted by `second`.
        fn add(&mut self, second: u64, entry: FlowEntry) {
            let seen = Seen { entry: &entry, addresses: None, parent: 0 };
            self.table.add(Counted { seen, digest: 0, rate: 1 }, &Ticks::at(second * SECOND));
        }

        fn expire(&mut self, second: u64) -> Vec<FlowRecord> {
            let Self { table, books } = self;
            let (joining, mut records) = (table.joining(), Vec::new());
            table.expire(second * SECOND, |ending| records.extend(record(ending, joining, books)));
            records
        }

        fn force(&mut self, gone: impl Fn(u16) -> bool) -> Vec<FlowRecord> {
            let Self { table, books } = self;
            let (joining, mut records) = (table.joining(), Vec::new());
            table.force(gone, |ending| records.extend(record(ending, joining, books)));
            records
        }
    }

    const JOINED: Joining = Joining { biflow: true, dedup: Dedup::First };
    const APART: Joining = Joining { biflow: false, dedup: Dedup::Off };

    fn told(records: &[FlowRecord]) -> Vec<(u64, Option<u64>, FlowEndReason)> {
        let back = |record: &FlowRecord| record.reverse.map(|reverse| reverse.count.packets);
        records.iter().map(|record| (record.packets, back(record), record.end_reason)).collect()
    }

    #[test]
    fn parts_of_a_conversation_are_one_record() {
        let mut stage = Stage::new(JOINED, 10);
        for (point, ports, packets) in
            [(2, THERE, 1), (2, THERE, 2), (3, BACK, 4), (5, THERE, 3), (7, THERE, 2)]
        {
            stage.add(100, entry(point, ports, packets, ACK));
        }
        assert_eq!(stage.table.len(), 1);
        assert!(stage.expire(101).is_empty());
        let mut recent = Vec::new();
        stage.table.busiest(5, |_, bytes| recent.push(bytes));
        assert_eq!(recent, [700], "no packet twice");
        let records = stage.expire(115);
        assert_eq!(told(&records), [(3, Some(4), FlowEndReason::IdleTimeout)]);
        assert_eq!(records[0].key.ports(), Some(THERE));
        let observed: Vec<_> = records[0].observations.iter().map(|o| (o.point, o.count.packets)).collect();
        assert_eq!(observed, [(2, 3), (5, 3), (7, 2), (3, 4)]);
    }

    #[test]
    fn apart_each_point_and_direction_has_a_record() {
        let mut stage = Stage::new(APART, 10);
        for (point, ports) in [(2, THERE), (2, BACK), (5, THERE)] {
            stage.add(100, entry(point, ports, 1, 0));
        }
        assert!(stage.expire(100).is_empty());
        assert_eq!(told(&stage.expire(115)), [(1, None, FlowEndReason::IdleTimeout); 3]);
    }

    #[test]
    fn fin_of_both_ends_it_after_a_quiet_interval() {
        let mut stage = Stage::new(JOINED, 10);
        stage.add(100, entry(2, THERE, 5, FIN | ACK));
        stage.add(100, entry(3, BACK, 5, ACK));
        assert!(stage.expire(100).is_empty());
        assert!(stage.expire(101).is_empty(), "the other end may have much to say yet");
        stage.add(102, entry(3, BACK, 5, FIN | ACK));
        assert!(stage.expire(102).is_empty(), "the last acknowledgements may follow");
        assert_eq!(told(&stage.expire(103)), [(5, Some(10), FlowEndReason::EndOfFlowDetected)]);
    }

    #[test]
    fn fin_ends_a_flow_whose_other_direction_is_not_seen() {
        for joining in [JOINED, APART] {
            let mut stage = Stage::new(joining, 10);
            stage.add(100, entry(2, THERE, 5, FIN | ACK));
            assert!(stage.expire(100).is_empty());
            assert_eq!(told(&stage.expire(101))[0].2, FlowEndReason::EndOfFlowDetected);
        }
    }

    #[test]
    fn a_conversation_that_goes_on_gets_records_with_one_id() {
        let mut stage = Stage::new(JOINED, 10);
        for second in 100..160 {
            stage.add(second, entry(2, THERE, 1, SYN | ACK));
            assert!(stage.expire(second).is_empty());
        }
        stage.add(160, entry(2, THERE, 1, 0));
        let first = stage.expire(160);
        assert_eq!(told(&first), [(61, Some(0), FlowEndReason::ActiveTimeout)]);
        stage.add(161, entry(3, BACK, 2, ACK));
        assert!(stage.expire(161).is_empty());
        let second = stage.expire(176);
        assert_eq!(told(&second), [(0, Some(2), FlowEndReason::IdleTimeout)]);
        assert_eq!((first[0].flow_id, first[0].key), (second[0].flow_id, second[0].key));
        assert_eq!(stage.table.len(), 0);
        stage.add(200, entry(2, THERE, 1, 0));
        assert!(stage.expire(200).is_empty());
        assert_ne!(stage.expire(215)[0].flow_id, first[0].flow_id, "the next one between these ends");
    }

    #[test]
    fn a_conversation_that_falls_silent_after_its_record_leaves_no_empty_one() {
        let mut stage = Stage::new(JOINED, 10);
        stage.add(100, entry(2, THERE, 1, 0));
        stage.expire(100);
        stage.add(159, entry(2, THERE, 1, 0));
        assert!(stage.expire(159).is_empty());
        assert_eq!(told(&stage.expire(160)), [(2, Some(0), FlowEndReason::ActiveTimeout)]);
        assert!(stage.expire(174).is_empty() && stage.table.len() == 0);
    }

    #[test]
    fn what_finds_the_table_full_is_exported_at_the_next_drain() {
        let mut stage = Stage::new(JOINED, 1);
        stage.add(100, entry(2, THERE, 1, 0));
        stage.add(100, entry(2, (7, 8), 4, 0));
        stage.add(100, entry(5, (7, 8), 4, 0));
        stage.add(100, entry(2, THERE, 1, 0));
        let records = stage.expire(100);
        assert_eq!(told(&records), [(4, Some(0), FlowEndReason::LackOfResources)]);
        assert_eq!(told(&stage.expire(115)), [(2, Some(0), FlowEndReason::IdleTimeout)]);
    }

    #[test]
    fn a_trunk_and_the_interface_on_top_of_it_see_one_conversation() {
        let tagged = |id: u16, packets| {
            let mut entry = entry(2, THERE, packets, 0);
            entry.link |= LINK_VLAN as u16 | id;
            entry
        };
        let mut stage = Stage::new(JOINED, 10);
        for seen in [tagged(5, 3), entry(4, THERE, 3, 0)] {
            stage.add(100, seen);
        }
        let records = stage.force(|_| true);
        let vlans: Vec<_> = records[0].observations.iter().map(|seen| seen.vlan).collect();
        assert_eq!(
            (told(&records), vlans),
            (vec![(3, Some(0), FlowEndReason::ForcedEnd)], vec![Some(5), None])
        );
        assert_eq!(records[0].key.vlan(), Some(5));
        // A priority tag is no VLAN.
        for seen in [tagged(0, 3), entry(2, THERE, 4, 0)] {
            stage.add(200, seen);
        }
        assert_eq!(told(&stage.force(|_| true)), [(7, Some(0), FlowEndReason::ForcedEnd)]);
    }

    #[test]
    fn a_point_that_goes_ends_the_record_and_the_last_one_the_conversation() {
        let mut stage = Stage::new(JOINED, 10);
        stage.add(100, entry(2, THERE, 3, 0));
        stage.add(100, entry(5, THERE, 3, 0));
        assert!(stage.expire(100).is_empty());
        assert!(stage.force(|point| point >= 6).is_empty());
        assert_eq!(told(&stage.force(|point| point == 2)), [(3, Some(0), FlowEndReason::ActiveTimeout)]);
        stage.add(101, entry(5, THERE, 7, 0));
        stage.expire(101);
        assert_eq!(told(&stage.force(|point| point == 5)), [(7, Some(0), FlowEndReason::ForcedEnd)]);
        assert_eq!(stage.table.len(), 0);
    }

    #[test]
    fn the_busiest_come_first() {
        let mut stage = Stage::new(JOINED, 10);
        for port in [3, 9, 5] {
            stage.add(100, entry(2, (port, 80), u64::from(port), 0));
        }
        stage.expire(100);
        let mut packets = Vec::new();
        stage.table.busiest(2, |ending, _| packets.push(ending.tallies[0].count.packets));
        assert_eq!(packets, [9, 5]);
    }
}
