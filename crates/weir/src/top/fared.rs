//! How the connections of a conversation have fared at one end since the view began.
//!
//! TCP counts for a connection's whole life. Of one whose beginning was not seen, what was counted before it was first
//! heard of is not new.

use weir_record::{FlowRecord, TcpHealth};

/// SYN, as in TCP's header.
const SYN: u16 = 0x02;

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fared {
    /// Segments that this end has sent again.
    pub retransmitted_segments: u64,
    /// Their payload.
    pub retransmitted_bytes: u64,
    /// Resets that it has sent.
    pub resets_sent: u64,
    /// Resets that ended its connections.
    pub resets_received: u64,
    /// Connections that failed, or were never ones.
    pub failures: u64,
}

impl Fared {
    fn of(health: &TcpHealth) -> Self {
        Self {
            retransmitted_segments: health.retransmitted_segments,
            retransmitted_bytes: health.retransmitted_bytes,
            resets_sent: health.resets_sent,
            resets_received: health.resets_received,
            failures: u64::from(health.failure.is_some()),
        }
    }

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            retransmitted_segments: join(self.retransmitted_segments, other.retransmitted_segments),
            retransmitted_bytes: join(self.retransmitted_bytes, other.retransmitted_bytes),
            resets_sent: join(self.resets_sent, other.resets_sent),
            resets_received: join(self.resets_received, other.resets_received),
            failures: join(self.failures, other.failures),
        }
    }

    pub fn add(&mut self, other: Self) {
        *self = self.with(other, u64::saturating_add);
    }
}

/// The connections that a conversation has been at one end, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// What those that are over have come to.
    over: Fared,
    /// What the last one had counted before; none until something is known of it.
    before: Option<Fared>,
    now: Fared,
}

impl Connections {
    /// Another connection begins.
    pub fn begin(&mut self) {
        *self = Self { over: self.sum(), before: Some(Fared::default()), now: Fared::default() };
    }

    /// Takes in what is kept of the last one by now.
    pub fn hear(&mut self, health: &TcpHealth) {
        self.now = Fared::of(health);
        self.before.get_or_insert(self.now);
    }

    /// Since the view began.
    pub fn sum(&self) -> Fared {
        let before = self.before.unwrap_or(self.now);
        let mut sum = self.over;
        sum.add(self.now.with(before, u64::saturating_sub));
        sum
    }
}

/// Whose figures are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The source's.
    Source,
    /// The destination's.
    Destination,
    /// Those of both ends, as far as they are this host's.
    Both,
}

impl Whose {
    fn is_meant(self) -> [bool; 2] {
        [self != Self::Destination, self != Self::Source]
    }

    /// What the connections of a conversation have come to. One that failed at both ends failed once.
    pub fn sum(self, ends: &[Connections; 2]) -> Fared {
        let mut sum = Fared::default();
        for (connections, _) in ends.iter().zip(self.is_meant()).filter(|(_, is_meant)| *is_meant) {
            let one = connections.sum();
            let failures = sum.failures.max(one.failures);
            sum.add(one);
            sum.failures = failures;
        }
        sum
    }

    /// The smoothed round-trip time; of both ends the longer one.
    pub fn rtt(self, record: &FlowRecord) -> Option<u64> {
        let ends = [&record.source, &record.destination].into_iter().zip(self.is_meant());
        ends.filter(|(_, is_meant)| *is_meant).filter_map(|(end, _)| end.tcp.as_ref()?.rtt).max()
    }
}

/// Whether a connection began within a record.
pub fn begins(record: &FlowRecord) -> bool {
    let back = record.reverse.as_ref().map_or(0, |reverse| reverse.tcp_flags);
    record.key.is_tcp() && (record.tcp_flags | back) & SYN != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_record::TcpFailure;

    fn health(retransmitted_segments: u64, failure: Option<TcpFailure>) -> TcpHealth {
        TcpHealth { retransmitted_segments, failure, ..TcpHealth::default() }
    }

    fn sum(connections: &Connections) -> (u64, u64) {
        (connections.sum().retransmitted_segments, connections.sum().failures)
    }

    #[test]
    fn what_was_counted_before_is_not_new() {
        let mut one = Connections::default();
        assert_eq!(sum(&one), (0, 0));
        one.hear(&health(7, None));
        assert_eq!(sum(&one), (0, 0));
        one.hear(&health(9, None));
        one.hear(&health(10, Some(TcpFailure::Reset)));
        assert_eq!(sum(&one), (3, 1));
        // The next one, of the same ends, counts from nothing.
        one.begin();
        assert_eq!(sum(&one), (3, 1));
        one.hear(&health(4, Some(TcpFailure::Refused)));
        assert_eq!(sum(&one), (7, 2));
    }
}
