//! How far both ends of connections are that this host only forwards, by their handshakes.

use super::table::Ends;
use super::turned;
use crate::decode::ipv6;
use crate::interfaces::Numbers;
use crate::{Result, Settings};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::time::{Duration, Instant};
use weir_kernel::HandshakeEvent;
use weir_probes::flows::Flows;
use weir_record::{FlowRecord, ProbeAccount};

/// Handshakes that are remembered: about 120 bytes each.
const HANDSHAKES: usize = 131_072;
/// Handshakes that are taken at a time; more than the ring holds.
const AT_A_TIME: usize = 16_384;

/// What passed through, and when records of it were last asked for.
pub struct Handshakes {
    on: bool,
    table: Table,
    told: u64,
    lost: u64,
}

impl Handshakes {
    /// None yet. A flow that lives has a record once in an active timeout.
    pub fn new(settings: &Settings) -> Self {
        let linger = settings.active_timeout + settings.idle_timeout + 3 * settings.interval;
        Self { on: settings.tcp, table: Table::new(HANDSHAKES, linger), told: 0, lost: 0 }
    }

    /// Takes in what the kernel has told meanwhile.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, flows: &Flows) -> Result<()> {
        if self.on {
            let table = &mut self.table;
            self.told += flows.consume_handshakes(AT_A_TIME, |event| table.learn(event))? as u64;
            self.lost = flows.lost_handshakes()?;
        }
        Ok(())
    }

    /// Enters both ways into a record of a connection with these ends, under whichever name it was forwarded in one
    /// of the namespaces where the record was seen.
    pub fn attribute(&mut self, record: &mut FlowRecord, ends: [Option<Ends>; 2], numbers: &Numbers) {
        let mut netns: SmallVec<[u32; 4]> = SmallVec::new();
        netns.push(numbers.of_interface(&record.interface));
        netns.extend(record.observations.iter().map(|seen| numbers.of_interface(&seen.interface)));
        let found = ends.into_iter().flatten().find_map(|ends| self.table.between(ends, &netns));
        if let Some((source, destination)) = found {
            record.source.handshake_rtt = Some(source);
            record.destination.handshake_rtt = Some(destination);
        }
    }

    /// Forgets what no record has asked for in a long time.
    pub fn expire(&mut self, now: Instant) {
        self.table.expire(now);
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.table.young.len() + self.table.old.len()
    }

    /// How many had to go for others.
    pub fn evicted(&self) -> u64 {
        self.table.evicted
    }

    /// How many the kernel's ring had no room for.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What was told, and what of it was lost.
    pub fn account(&self) -> Option<ProbeAccount> {
        let account = ProbeAccount {
            probe: "handshakes",
            events: self.told,
            lost_events: self.lost,
            evicted: self.evicted(),
        };
        self.on.then_some(account)
    }
}

/// In one namespace, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Timed {
    netns: u32,
    client: u64,
    server: u64,
}

type Passed = SmallVec<[Timed; 1]>;

/// By both ends, the client's first. What is learnt or asked for is young; what is young grows old, and goes unless
/// it is asked for in time.
#[derive(Debug)]
struct Table {
    young: HashMap<Ends, Passed>,
    old: HashMap<Ends, Passed>,
    aged: Instant,
    linger: Duration,
    /// Of either age.
    capacity: usize,
    evicted: u64,
}

impl Table {
    fn new(capacity: usize, linger: Duration) -> Self {
        let (young, old) = Default::default();
        Self { young, old, aged: Instant::now(), linger, capacity: capacity / 2, evicted: 0 }
    }

    fn learn(&mut self, event: &HandshakeEvent) {
        let side = |words, port| (ipv6(words).to_canonical(), port);
        let ends = Ends {
            local: side(event.client, event.client_port),
            remote: side(event.server, event.server_port),
        };
        let timed =
            Timed { netns: event.netns, client: event.client_rtt / 1000, server: event.server_rtt / 1000 };
        let passed = self.rejuvenate(ends);
        passed.retain(|one| one.netns != timed.netns);
        passed.push(timed);
    }

    /// From the first end and back, and from the other one, the first of these namespaces that knows.
    fn between(&mut self, ends: Ends, netns: &[u32]) -> Option<(u64, u64)> {
        let is_known = |ends| self.young.contains_key(&ends) || self.old.contains_key(&ends);
        let asked = [ends, turned(ends)].into_iter().find(|ends| is_known(*ends))?;
        let passed = self.rejuvenate(asked);
        let timed = netns.iter().find_map(|netns| passed.iter().find(|one| one.netns == *netns))?;
        let ways = (timed.client, timed.server);
        Some(if asked == ends { ways } else { (ways.1, ways.0) })
    }

    fn rejuvenate(&mut self, ends: Ends) -> &mut Passed {
        let known = self.old.remove(&ends);
        if self.young.len() >= self.capacity && !self.young.contains_key(&ends) {
            self.evicted += self.old.len() as u64;
            self.age();
        }
        self.young.entry(ends).or_insert_with(|| known.unwrap_or_default())
    }

    fn age(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.aged = Instant::now();
    }

    fn expire(&mut self, now: Instant) {
        if now.duration_since(self.aged) >= self.linger {
            self.age();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(5);
    const SERVER: u16 = 80;

    fn event(netns: u32, port: u16, client_micros: u64) -> HandshakeEvent {
        let words = |last: u8| [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, 10, 0, 0, last])];
        HandshakeEvent {
            client: words(1),
            server: words(2),
            client_rtt: 1000 * client_micros,
            server_rtt: 7_999,
            netns,
            client_port: port,
            server_port: SERVER,
        }
    }

    fn ends(port: u16) -> Ends {
        Ends { local: ([10, 0, 0, 1].into(), port), remote: ([10, 0, 0, 2].into(), SERVER) }
    }

    #[test]
    fn both_directions_have_both_ways_where_they_were_forwarded() {
        let mut table = Table::new(10, LINGER);
        table.learn(&event(3, 5000, 30));
        assert_eq!(table.between(ends(5000), &[0, 3]), Some((30, 7)));
        assert_eq!(table.between(turned(ends(5000)), &[3]), Some((7, 30)));
        assert_eq!((table.between(ends(5000), &[0]), table.between(ends(5001), &[3])), (None, None));
        table.learn(&event(0, 5000, 40));
        table.learn(&event(0, 5000, 50));
        assert_eq!(table.between(ends(5000), &[0, 3]), Some((50, 7)));
        assert_eq!(table.between(ends(5000), &[3, 0]), Some((30, 7)));
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut table = Table::new(10, LINGER);
        [1, 2].into_iter().for_each(|port| table.learn(&event(0, port, 30)));
        for _ in 0..3 {
            table.expire(table.aged + LINGER);
            assert!(table.between(ends(1), &[0]).is_some());
        }
        assert_eq!((table.between(ends(2), &[0]), table.evicted), (None, 0));
    }

    #[test]
    fn memory_is_bounded_and_what_had_to_go_is_counted() {
        let mut table = Table::new(10, LINGER);
        (0..1000).for_each(|port| table.learn(&event(0, port, 30)));
        assert_eq!((table.young.len() + table.old.len(), table.evicted), (10, 990));
        assert!(table.between(ends(999), &[0]).is_some() && table.between(ends(0), &[0]).is_none());
    }
}
