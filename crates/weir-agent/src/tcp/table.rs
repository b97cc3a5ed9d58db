//! Connections by both ends: a bounded table of what the kernel said of each last.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_record::TcpHealth;

/// Address and port.
pub type Side = (IpAddr, u16);

/// Both ends, as one of them sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    pub local: Side,
    pub remote: Side,
}

/// What is known of a connection.
#[derive(Debug, Clone)]
pub struct Known {
    /// 0 for the agent's own.
    pub netns: u32,
    /// Its number; 0 for one that never had a socket here.
    pub socket: u64,
    /// When the kernel said so, in nanoseconds of the monotonic clock.
    pub time: u64,
    /// Whether that was the last of it.
    pub is_over: bool,
    pub health: Arc<TcpHealth>,
}

/// What holds it in its place in the queues.
type Ticket = (Ends, u32, u64);

/// The table. Connections of several network namespaces can have the same ends.
#[derive(Debug)]
pub struct Connections {
    known: HashMap<Ends, SmallVec<[Known; 1]>>,
    /// In the order in which they came.
    queue: VecDeque<Ticket>,
    over: VecDeque<(Instant, Ticket)>,
    len: usize,
    capacity: usize,
    linger: Duration,
    evicted: u64,
}

impl Connections {
    /// For `capacity` of them; what is over is kept for `linger`.
    pub fn new(capacity: usize, linger: Duration) -> Self {
        let (known, queue, over) = Default::default();
        Self { known, queue, over, len: 0, capacity, linger, evicted: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many had to go before they were over.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in what the kernel said. What it said before it said something else is old.
    pub fn learn(&mut self, ends: Ends, new: Known, now: Instant) {
        let ticket = (ends, new.netns, new.socket);
        let is_over = new.is_over;
        let list = self.known.entry(ends).or_default();
        match list.iter_mut().find(|one| one.netns == new.netns) {
            Some(known) if known.time > new.time => return,
            // What comes after the end finds no socket any more: a reset is the answer, and takes nothing away.
            Some(known) if new.socket == 0 && known.socket != 0 => {
                Arc::make_mut(&mut known.health).resets_sent += new.health.resets_sent;
                return;
            }
            Some(known) if known.socket == new.socket => {
                // A reset is sent after the end.
                let resets_sent = known.health.resets_sent + new.health.resets_sent;
                let failure = new.health.failure.or(known.health.failure);
                *known = new;
                let health = Arc::make_mut(&mut known.health);
                (health.resets_sent, health.failure) = (resets_sent, failure);
            }
            Some(known) => {
                *known = new;
                self.queue.push_back(ticket);
            }
            None => {
                list.push(new);
                self.len += 1;
                self.queue.push_back(ticket);
            }
        }
        if is_over {
            self.over.push_back((now, ticket));
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.len > self.capacity {
            let Some(oldest) = self.queue.pop_front() else { break };
            let was_over = self.remove(&oldest, |one| one.is_over);
            self.evicted += u64::from(!was_over && self.remove(&oldest, |_| true));
        }
        // Those that have gone in time have left their places in the queue.
        if self.queue.len() > 2 * self.capacity.max(self.len) {
            let mut queue = std::mem::take(&mut self.queue);
            queue.retain(|ticket| self.find(ticket).is_some());
            self.queue = queue;
        }
    }

    /// Those of a namespace of which nothing was heard since `time` are over: their end was not told.
    pub fn sweep(&mut self, netns: u32, time: u64, now: Instant) {
        for (ends, list) in &mut self.known {
            let silent = |one: &&mut Known| one.netns == netns && !one.is_over && one.time < time;
            for one in list.iter_mut().filter(silent) {
                one.is_over = true;
                self.over.push_back((now, (*ends, netns, one.socket)));
            }
        }
    }

    /// Forgets what has been over for long enough.
    pub fn expire(&mut self, now: Instant) {
        while let Some((when, ticket)) = self.over.front().copied() {
            if now.duration_since(when) < self.linger {
                break;
            }
            self.over.pop_front();
            // Another one with the same ends may have taken its place.
            self.remove(&ticket, |one| one.is_over);
        }
    }

    fn find(&self, (ends, netns, socket): &Ticket) -> Option<&Known> {
        self.known.get(ends)?.iter().find(|one| one.netns == *netns && one.socket == *socket)
    }

    /// Whether it was there, and was `due` to go. Looks for it once: most of what is looked for is far from any cache.
    fn remove(&mut self, (ends, netns, socket): &Ticket, due: impl Fn(&Known) -> bool) -> bool {
        let Entry::Occupied(mut found) = self.known.entry(*ends) else { return false };
        let before = found.get().len();
        found.get_mut().retain(|one| one.netns != *netns || one.socket != *socket || !due(one));
        let gone = before - found.get().len();
        self.len -= gone;
        if found.get().is_empty() {
            found.remove();
        }
        gone > 0
    }

    /// What is known of the connection with these ends, seen in `netns`. Of others alone only one that nobody contests:
    /// the packets of a container pass through its host.
    pub fn get(&self, ends: &Ends, netns: u32) -> Option<&Arc<TcpHealth>> {
        let list = self.known.get(ends)?;
        let here = list.iter().find(|one| one.netns == netns);
        let alone = || (!ends.local.0.is_loopback() && list.len() == 1).then(|| &list[0]);
        here.or_else(alone).map(|one| &one.health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(5);

    fn ends(port: u16) -> Ends {
        Ends { local: ([10, 0, 0, 1].into(), 80), remote: ([10, 0, 0, 2].into(), port) }
    }

    fn known(netns: u32, socket: u64, time: u64, sent: u64) -> Known {
        let health = Arc::new(TcpHealth { bytes_sent: sent, ..TcpHealth::default() });
        Known { netns, socket, time, is_over: false, health }
    }

    fn sent(table: &Connections, port: u16, netns: u32) -> Option<u64> {
        table.get(&ends(port), netns).map(|health| health.bytes_sent)
    }

    #[test]
    fn what_was_said_last_holds() {
        let (mut table, now) = (Connections::new(10, LINGER), Instant::now());
        table.learn(ends(1), known(0, 7, 5, 50), now);
        table.learn(ends(1), known(0, 7, 4, 40), now);
        assert_eq!(sent(&table, 1, 0), Some(50));
        table.learn(ends(1), known(0, 8, 6, 1), now);
        assert_eq!((sent(&table, 1, 0), table.len()), (Some(1), 1));
    }

    #[test]
    fn a_reset_is_added_to_what_is_known() {
        let (mut table, now) = (Connections::new(10, LINGER), Instant::now());
        table.learn(ends(1), Known { is_over: true, ..known(0, 7, 5, 50) }, now);
        let reset = TcpHealth { bytes_sent: 50, resets_sent: 1, ..TcpHealth::default() };
        table.learn(ends(1), Known { is_over: true, health: Arc::new(reset), ..known(0, 7, 6, 0) }, now);
        let health = table.get(&ends(1), 0).expect("it is there");
        assert_eq!((health.bytes_sent, health.resets_sent), (50, 1));
    }

    #[test]
    fn what_comes_after_the_end_takes_nothing_away() {
        let (mut table, now) = (Connections::new(10, LINGER), Instant::now());
        table.learn(ends(1), Known { is_over: true, ..known(0, 7, 5, 50) }, now);
        let reset = TcpHealth { resets_sent: 1, ..TcpHealth::default() };
        table.learn(ends(1), Known { is_over: true, health: Arc::new(reset), ..known(0, 0, 6, 0) }, now);
        let health = table.get(&ends(1), 0).expect("it is there");
        assert_eq!((health.bytes_sent, health.resets_sent), (50, 1));
        table.expire(now + LINGER);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_is_over_lingers_and_what_vanished_is_over() {
        let (mut table, now) = (Connections::new(10, LINGER), Instant::now());
        table.learn(ends(1), Known { is_over: true, ..known(0, 7, 5, 50) }, now);
        table.learn(ends(2), known(0, 8, 5, 60), now);
        table.learn(ends(3), known(0, 9, 15, 70), now);
        table.sweep(0, 10, now);
        table.expire(now + LINGER / 2);
        assert_eq!(table.len(), 3);
        table.expire(now + LINGER);
        assert_eq!((sent(&table, 1, 0), sent(&table, 2, 0), sent(&table, 3, 0)), (None, None, Some(70)));
        assert_eq!(table.evicted(), 0);
    }

    #[test]
    fn memory_is_bounded_and_what_had_to_go_is_counted() {
        let (mut table, now) = (Connections::new(3, LINGER), Instant::now());
        (0..5).for_each(|port| table.learn(ends(port), known(0, port.into(), 1, 1), now));
        assert_eq!((table.len(), table.evicted(), sent(&table, 0, 0)), (3, 2, None));
        for port in 10..1000 {
            let over = Known { is_over: true, ..known(0, port.into(), 2, 1) };
            table.learn(ends(port), over, now);
            table.expire(now + LINGER);
        }
        assert!(table.queue.len() <= 7 && table.over.is_empty(), "{table:?}");
    }

    #[test]
    fn other_namespaces_are_believed_where_nobody_contests_them() {
        let (mut table, now) = (Connections::new(10, LINGER), Instant::now());
        table.learn(ends(1), known(5, 7, 1, 50), now);
        assert_eq!((sent(&table, 1, 0), sent(&table, 1, 5)), (Some(50), Some(50)));
        table.learn(ends(1), known(6, 8, 1, 60), now);
        assert_eq!((sent(&table, 1, 0), sent(&table, 1, 6)), (None, Some(60)));
    }
}
