//! Connections by both ends: a bounded table of what the kernel said of each last.

use crate::rows::Rows;
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

/// One in the table.
#[derive(Debug)]
struct Connection {
    known: Known,
    heard: Instant,
}

/// The rows in which they stand by when they were last heard of: those that go on, and those that are over.
const LIVE: usize = 0;
const OVER: usize = 1;

/// The table. Connections of several network namespaces can have the same ends.
#[derive(Debug)]
pub struct Connections {
    connections: Rows<Ends, Connection, 2>,
    capacity: usize,
    linger: Duration,
    evicted: u64,
}

impl Connections {
    /// For `capacity` of them; what is over is kept for `linger`.
    pub fn new(capacity: usize, linger: Duration) -> Self {
        Self { connections: Rows::new(), capacity, linger, evicted: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// How many had to go before their time.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in what the kernel said. What it said before it said something else is old.
    pub fn learn(&mut self, ends: Ends, new: Known, now: Instant) {
        let row = if new.is_over { OVER } else { LIVE };
        let found = self.connections.with(&ends).find(|(_, one)| one.known.netns == new.netns);
        if let Some((number, _)) = found {
            if update(&mut self.connections[number].known, new) {
                self.connections[number].heard = now;
                self.connections.renew(number, row);
            }
            return;
        }
        if self.len() >= self.capacity {
            self.make_room();
        }
        self.connections.push(row, ends, Connection { known: new, heard: now });
    }

    /// What is over goes first. A quarter of the places is for it, though: its last record is still to come.
    fn make_room(&mut self) {
        let row = if self.connections.count(OVER) * 4 >= self.capacity { OVER } else { LIVE };
        if let Some(oldest) = self.connections.first(row) {
            self.evicted += 1;
            self.connections.remove(oldest);
        }
    }

    /// Those of a namespace of which nothing was heard since `time` are over: their end was not told.
    pub fn sweep(&mut self, netns: u32, time: u64, now: Instant) {
        let is_silent = |known: &Known| known.netns == netns && !known.is_over && known.time < time;
        let silent = self.connections.iter().filter(|(_, one)| is_silent(&one.known));
        for number in silent.map(|(number, _)| number).collect::<Vec<_>>() {
            let one = &mut self.connections[number];
            (one.known.is_over, one.heard) = (true, now);
            self.connections.renew(number, OVER);
        }
    }

    /// Forgets what has been over for long enough.
    pub fn expire(&mut self, now: Instant) {
        while let Some(first) = self.connections.first(OVER) {
            if now.duration_since(self.connections[first].heard) < self.linger {
                break;
            }
            self.connections.remove(first);
        }
    }

    /// What is known of the connection with these ends, seen in `netns`. Of others alone only one that nobody contests:
    /// the packets of a container pass through its host.
    pub fn get(&self, ends: &Ends, netns: u32) -> Option<&Arc<TcpHealth>> {
        let mut all = self.connections.with(ends).map(|(_, one)| one);
        let here = all.clone().find(|one| one.known.netns == netns);
        let alone = || {
            let first = all.next().filter(|_| !ends.local.0.is_loopback())?;
            all.next().is_none().then_some(first)
        };
        here.or_else(alone).map(|one| &one.known.health)
    }
}

/// What is known from now on, and whether it is something new.
fn update(known: &mut Known, mut new: Known) -> bool {
    if known.time > new.time {
        return false;
    }
    // What comes after the end finds no socket any more: a reset is the answer, and takes nothing away.
    if new.socket == 0 && known.socket != 0 {
        Arc::make_mut(&mut known.health).resets_sent += new.health.resets_sent;
        return false;
    }
    if known.socket == new.socket {
        // A reset is sent after the end.
        let health = Arc::make_mut(&mut new.health);
        health.resets_sent += known.health.resets_sent;
        health.failure = health.failure.or(known.health.failure);
    }
    *known = new;
    true
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
        assert_eq!((table.len(), table.evicted()), (2, 3));
    }

    #[test]
    fn a_quarter_is_for_what_is_over() {
        let (mut table, now) = (Connections::new(8, LINGER), Instant::now());
        (0..8).for_each(|port| table.learn(ends(port), known(0, port.into(), 1, 1), now));
        for port in 10..20 {
            table.learn(ends(port), Known { is_over: true, ..known(0, port.into(), 2, 1) }, now);
        }
        assert_eq!((table.len(), table.evicted()), (8, 10));
        let there = [1, 2, 17, 18, 19].map(|port| sent(&table, port, 0).is_some());
        assert_eq!(there, [false, true, false, true, true]);
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
