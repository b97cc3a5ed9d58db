//! Segments that were sent again, from counts of whole connections.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use weir_record::{FlowEndReason, FlowKey, FlowRecord};

/// How long what was said of a connection is remembered where nothing more comes: one that is silent may go on, of one that
/// has ended something may still be on its way.
const REMEMBERED: [Duration; 2] = [Duration::from_secs(24 * 3600), Duration::from_secs(120)];
/// Connections that are remembered: of more, those that said something last.
const MOST: usize = 65_536;
const SYN: u16 = 2;

/// What the last record of each connection said, of those that have sent anything again.
#[derive(Debug, Default)]
pub struct Resent(HashMap<FlowKey, Last>);

/// By the source and by the destination; nothing where that end is not known.
type Counts = [Option<u64>; 2];

#[derive(Debug)]
struct Last {
    /// Of the canonical direction.
    counts: Counts,
    has_ended: bool,
    heard: Instant,
}

impl Resent {
    /// What is new in this record. A segment that comes after the end makes a record of its own, with what the connection
    /// had counted in all; who asks for a connection anew after that begins to count anew.
    pub fn since_last(&mut self, record: &FlowRecord, now: Instant) -> [u64; 2] {
        let counts = [&record.source, &record.destination]
            .map(|end| end.tcp.as_ref().map(|tcp| tcp.retransmitted_segments));
        let (key, turned) = canonical(&record.key);
        let is_new = |last: &mut Last| last.has_ended && record.tcp_flags & SYN != 0;
        let last = self.0.remove(&key).take_if(|last| !is_new(last));
        let before = last.map_or([None; 2], |last| turn(last.counts, turned));
        let has_ended = record.end_reason == FlowEndReason::EndOfFlowDetected;
        // An end that is not known this time is as it was.
        let counts: Counts = std::array::from_fn(|end| counts[end].or(before[end]));
        if counts.iter().flatten().any(|count| *count > 0) {
            self.0.insert(key, Last { counts: turn(counts, turned), has_ended, heard: now });
        }
        std::array::from_fn(|end| {
            let (count, before) = (counts[end].unwrap_or(0), before[end].unwrap_or(0));
            // Less than before is another connection, too.
            count.checked_sub(before).unwrap_or(count)
        })
    }

    /// Forgets those of whom nothing more comes.
    pub fn expire(&mut self, now: Instant) {
        let mut remembered = REMEMBERED;
        loop {
            self.0.retain(|_, last| {
                now.saturating_duration_since(last.heard) < remembered[usize::from(last.has_ended)]
            });
            if self.0.len() <= MOST {
                return;
            }
            remembered = remembered.map(|time| time / 2);
        }
    }
}

/// One key for both directions, and whether it is the other one's.
fn canonical(key: &FlowKey) -> (FlowKey, bool) {
    let reversed = key.reversed().filter(|_| key.is_canonical() == Some(false));
    reversed.map_or((*key, false), |reversed| (reversed, true))
}

fn turn([source, destination]: Counts, turned: bool) -> Counts {
    if turned { [destination, source] } else { [source, destination] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_record::{Addresses, Direction, Interface, InterfaceKind, TcpHealth};

    const ENDED: FlowEndReason = FlowEndReason::EndOfFlowDetected;
    const GOES_ON: FlowEndReason = FlowEndReason::ActiveTimeout;

    fn key(port: u16) -> FlowKey {
        let addresses = Addresses::V4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((port, 443)) }
    }

    fn record(
        key: FlowKey,
        [source, destination]: [u64; 2],
        end_reason: FlowEndReason,
        tcp_flags: u16,
    ) -> FlowRecord {
        let (name, netns, kind) = ("eth0".into(), "1".into(), InterfaceKind::Veth);
        let interface = Arc::new(Interface { name, index: 2, netns, own_netns: true, kind });
        let mut record = FlowRecord::blank(interface, Direction::Egress, key);
        (record.end_reason, record.tcp_flags) = (end_reason, tcp_flags);
        let health = |retransmitted_segments| {
            Some(Arc::new(TcpHealth { retransmitted_segments, ..TcpHealth::default() }))
        };
        (record.source.tcp, record.destination.tcp) = (health(source), health(destination));
        record
    }

    #[test]
    fn each_is_counted_once() {
        let (mut resent, now) = (Resent::default(), Instant::now());
        let mut of =
            |port, counts, reason, flags| resent.since_last(&record(key(port), counts, reason, flags), now);
        assert_eq!(of(1, [0, 0], GOES_ON, SYN), [0, 0]);
        assert_eq!(of(1, [3, 1], GOES_ON, 0), [3, 1]);
        assert_eq!(of(2, [9, 0], GOES_ON, 0), [9, 0], "another one");
        assert_eq!(of(1, [5, 1], ENDED, 0), [2, 0]);
        assert_eq!(of(1, [5, 1], ENDED, 0), [0, 0], "an acknowledgement that was late");
        assert_eq!(of(1, [7, 1], ENDED, SYN), [7, 1], "the next one of the same ports");
    }

    #[test]
    fn silence_is_no_end() {
        let (mut resent, now) = (Resent::default(), Instant::now());
        let idle = FlowEndReason::IdleTimeout;
        // Who asks and is not answered, again and again, further and further apart.
        let sums = [4, 5, 6].map(|count| resent.since_last(&record(key(1), [count, 0], idle, SYN), now)[0]);
        assert_eq!(sums, [4, 1, 1]);
        resent.expire(now + REMEMBERED[1]);
        assert_eq!(resent.since_last(&record(key(1), [6, 0], idle, 0), now), [0, 0]);
        // A port that is used again, where the first record has nothing.
        let mut of = |counts, reason, flags| resent.since_last(&record(key(2), counts, reason, flags), now);
        assert_eq!(
            [of([7, 1], ENDED, 0), of([0, 0], GOES_ON, SYN), of([9, 1], GOES_ON, 0)],
            [[7, 1], [0, 0], [9, 1]]
        );
    }

    #[test]
    fn an_end_that_is_not_known_is_as_it_was() {
        let (mut resent, now) = (Resent::default(), Instant::now());
        let mut without = record(key(1), [0, 1], GOES_ON, 0);
        without.source.tcp = None;
        let sums = [record(key(1), [5, 1], GOES_ON, 0), without, record(key(1), [6, 2], GOES_ON, 0)]
            .map(|record| resent.since_last(&record, now));
        assert_eq!(sums, [[5, 1], [0, 0], [1, 1]]);
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let (mut resent, start) = (Resent::default(), Instant::now());
        for number in 0..MOST as u32 + 1000 {
            let addresses = Addresses::V4(number.into(), [10, 0, 0, 2].into());
            let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((1, 443)) };
            let heard = start + Duration::from_secs(u64::from(number) / 10);
            resent.since_last(&record(key, [1, 0], GOES_ON, 0), heard);
        }
        resent.expire(start + Duration::from_secs(6700));
        assert!(resent.0.len() <= MOST && !resent.0.is_empty(), "{}", resent.0.len());
    }

    #[test]
    fn what_is_said_from_the_other_end_is_the_same() {
        let (mut resent, now) = (Resent::default(), Instant::now());
        let turned = key(1).reversed().expect("a key");
        assert_eq!(resent.since_last(&record(key(1), [3, 1], GOES_ON, 0), now), [3, 1]);
        assert_eq!(resent.since_last(&record(turned, [2, 3], ENDED, 0), now), [1, 0]);
        resent.expire(now + REMEMBERED[1]);
        assert!(resent.0.is_empty());
    }
}
