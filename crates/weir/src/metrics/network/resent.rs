//! Segments that were sent again, from counts of whole connections.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use weir_record::{FlowEndReason, FlowKey, FlowRecord};

/// How long what was said of a connection is remembered: longer than any `--active-timeout` in use where it goes on, and
/// as long as something of it may still be on its way where it has ended.
const REMEMBERED: [Duration; 2] = [Duration::from_secs(3600), Duration::from_secs(120)];
const SYN: u16 = 2;

/// What the last record of each connection said, of those that have sent anything again.
#[derive(Debug, Default)]
pub struct Resent(HashMap<FlowKey, Last>);

/// By the source and by the destination.
type Counts = [u64; 2];

#[derive(Debug)]
struct Last {
    /// Of the canonical direction.
    counts: Counts,
    has_ended: bool,
    heard: Instant,
}

impl Resent {
    /// What is new in this record. A segment that comes after the end makes a record of its own, with what the connection
    /// had counted in all; who asks for a connection anew begins to count anew.
    pub fn since_last(&mut self, record: &FlowRecord, now: Instant) -> Counts {
        let counts = [&record.source, &record.destination]
            .map(|end| end.tcp.as_ref().map_or(0, |tcp| tcp.retransmitted_segments));
        let Some((key, turned)) = canonical(&record.key).filter(|_| counts != [0, 0]) else { return counts };
        let has_ended =
            !matches!(record.end_reason, FlowEndReason::ActiveTimeout | FlowEndReason::LackOfResources);
        let last = self.0.insert(key, Last { counts: turn(counts, turned), has_ended, heard: now });
        let is_new = last.as_ref().is_none_or(|last| last.has_ended && record.tcp_flags & SYN != 0);
        let before = last.filter(|_| !is_new).map_or([0, 0], |last| turn(last.counts, turned));
        // Less than before is another connection, too.
        std::array::from_fn(|end| counts[end].checked_sub(before[end]).unwrap_or(counts[end]))
    }

    /// Forgets those of whom nothing more comes.
    pub fn expire(&mut self, now: Instant) {
        self.0.retain(|_, last| {
            now.saturating_duration_since(last.heard) < REMEMBERED[usize::from(last.has_ended)]
        });
    }
}

/// One key for both directions, and whether it is the other one's.
fn canonical(key: &FlowKey) -> Option<(FlowKey, bool)> {
    match key.is_canonical() {
        Some(false) => key.reversed().map(|reversed| (reversed, true)),
        _ => Some((*key, false)),
    }
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
        [source, destination]: Counts,
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
    fn what_is_said_from_the_other_end_is_the_same() {
        let (mut resent, now) = (Resent::default(), Instant::now());
        let turned = key(1).reversed().expect("a key");
        assert_eq!(resent.since_last(&record(key(1), [3, 1], GOES_ON, 0), now), [3, 1]);
        assert_eq!(resent.since_last(&record(turned, [2, 3], ENDED, 0), now), [1, 0]);
        resent.expire(now + REMEMBERED[1]);
        assert!(resent.0.is_empty());
    }
}
