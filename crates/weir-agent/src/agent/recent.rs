//! What goes on, for who asks over the socket: conversations that are live, and records that ended since they were
//! last asked for.

use super::Agent;
use crate::conversations::{live, moved};
use crate::{Flows, LiveFlow, Mark, Wanted};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use weir_record::{Account, Count, FlowRecord, Moved};

/// Ended records that are kept for the next question, about 1 KB each.
const KEPT: usize = 16_384;
/// Records in an answer, about 3 KB each as JSON.
const MOST: usize = 10_000;
/// Who has not asked for so long does not ask any more: longer than any `--interval`.
const PATIENCE: Duration = Duration::from_secs(120);

/// Records that have ended, kept while somebody asks.
#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: VecDeque<FlowRecord>,
    /// How many there were.
    ended: u64,
    /// What they have counted together.
    moved: Moved,
    asked: Option<Instant>,
}

impl Recent {
    pub fn add(&mut self, record: &FlowRecord) {
        self.ended += 1;
        self.moved.add(Moved::of(record));
        if self.asked.is_some() {
            if self.kept.len() >= KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(record.clone());
        }
    }

    /// Whether somebody does.
    pub fn is_asked_for(&self) -> bool {
        self.asked.is_some()
    }

    /// Gives the memory back where nobody asks.
    pub fn expire(&mut self, now: Instant) {
        if self.asked.is_some_and(|asked| now - asked >= PATIENCE) {
            (self.asked, self.kept) = (None, VecDeque::new());
        }
    }

    /// Records from number `first` on, at most `most`; and how many of those before them are not here any more.
    fn since(&mut self, first: u64, most: usize) -> (Vec<FlowRecord>, u64) {
        self.asked = Some(Instant::now());
        let missed = self.first().saturating_sub(first);
        let skipped = usize::try_from(first.saturating_sub(self.first())).unwrap_or(usize::MAX);
        (self.kept.iter().skip(skipped).take(most).cloned().collect(), missed)
    }

    /// The number of the first one that is kept.
    fn first(&self) -> u64 {
        self.ended - self.kept.len() as u64
    }
}

impl Agent {
    /// What has moved since the mark: first the records that have ended, as soon as these are told the conversations
    /// that are live.
    pub fn flows(&mut self, wanted: Wanted) -> Flows {
        let Wanted { since, most } = wanted;
        let first = since.map_or(self.recent.ended, |mark| mark.ended.min(self.recent.ended));
        let (ended, missed_records) = self.recent.since(first, MOST);
        let told = first + missed_records + ended.len() as u64;
        let is_partial = told < self.recent.ended;
        let drain = since.map(|mark| mark.drain);
        let live = if is_partial { Vec::new() } else { self.busiest_since(drain, most.min(MOST)) };
        let next = drain.filter(|_| is_partial).unwrap_or(self.table.interval());
        Flows {
            pid: std::process::id(),
            next: Mark { drain: next, ended: told },
            is_partial,
            until: self.table.drained(),
            counted_seconds: self.drains.began().duration_since(self.started).as_secs_f64(),
            interval_seconds: self.settings.interval.as_secs_f64(),
            flows: self.table.len() as u64,
            seen: self.total(|account| account.seen),
            lost: self.total(Account::lost_total),
            balanced: self.books.accounts().all(Account::is_balanced),
            moved: self.moved(),
            missed_records,
            ended,
            live: live.into_iter().map(|one| one.record).collect(),
        }
    }

    /// The conversations that move most, for a live view.
    pub fn busiest(&mut self, most: usize) -> Vec<LiveFlow> {
        self.busiest_since(None, most)
    }

    fn busiest_since(&mut self, drain: Option<u32>, most: usize) -> Vec<LiveFlow> {
        let mut flows = Vec::new();
        self.table.busiest(drain, most, |ending, recent| flows.extend(live(ending, recent, &self.books)));
        for flow in &mut flows {
            self.identity.attribute(&mut flow.record);
            self.drops.show(&mut flow.record);
            self.health.attribute(&mut flow.record);
        }
        flows
    }

    /// What all records have counted, those of live conversations as if they ended now: each packet once.
    pub fn moved(&self) -> Moved {
        let mut sum = self.recent.moved;
        self.table.look(|ending| sum.add(moved(ending, &self.books)));
        sum
    }

    fn total(&self, of: impl Fn(&Account) -> Count) -> Count {
        let mut sum = Count::default();
        self.books.accounts().for_each(|account| sum += of(account));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_filter::generate;
    use weir_record::{Direction, FlowKey, Interface, InterfaceKind};

    fn record(packets: u64) -> FlowRecord {
        let (name, netns, kind) = ("eth0".into(), "a".into(), InterfaceKind::Veth);
        let interface = Interface { name, index: 1, netns, own_netns: true, kind };
        let key = FlowKey::Other { vlan: None, ethertype: 0x0806 };
        FlowRecord { packets, ..generate::record(interface, Direction::Egress, key) }
    }

    fn told(recent: &mut Recent, first: u64, most: usize) -> (Vec<u64>, u64) {
        let (records, missed) = recent.since(first, most);
        (records.iter().map(|record| record.packets).collect(), missed)
    }

    #[test]
    fn records_are_kept_while_somebody_asks_and_counted_always() {
        let mut recent = Recent::default();
        let add = |recent: &mut Recent, packets| recent.add(&record(packets));
        add(&mut recent, 1);
        assert_eq!(told(&mut recent, 0, 9), (vec![], 1), "nobody had asked");
        for packets in 2..=5 {
            add(&mut recent, packets);
        }
        assert_eq!(told(&mut recent, 1, 3), (vec![2, 3, 4], 0));
        assert_eq!(told(&mut recent, 4, 3), (vec![5], 0));
        assert_eq!(told(&mut recent, 4, 3), (vec![5], 0), "another one asks");
        assert_eq!(told(&mut recent, 0, 1), (vec![2], 1));
        for packets in 0..KEPT as u64 {
            add(&mut recent, packets);
        }
        assert_eq!(told(&mut recent, 4, 1), (vec![0], 1), "the oldest go");
        recent.expire(Instant::now());
        assert_eq!(recent.kept.len(), KEPT);
        recent.expire(Instant::now() + PATIENCE);
        assert_eq!((recent.kept.capacity(), told(&mut recent, 5, 1)), (0, (vec![], KEPT as u64)));
        assert_eq!(recent.moved.forth.packets, 15 + (KEPT as u64 - 1) * KEPT as u64 / 2);
    }
}
