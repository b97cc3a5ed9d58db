//! What is known of a conversation, beside its counters: who began it, how far it has come.

use super::choice::Chosen;
use super::tally::{NONE, Tally};
use weir_kernel::{SYN_ACK_SEEN, SYN_SEEN};
use weir_record::{FlowKey, Initiator, TcpEnd, TcpState};

/// All that outlives a record.
#[derive(Debug, Clone, Copy)]
pub struct Conversation {
    /// Its number, the same in all its records.
    pub id: u64,
    /// The first packet of this record; `u64::MAX` while there is none.
    pub start: u64,
    /// Its last packet.
    pub last: u64,
    /// When its last record was exported; 0 before the first.
    exported: u64,
    /// The list of its tallies.
    pub tallies: u32,
    /// The last interval in which it was seen.
    pub interval: u32,
    /// What each direction's sender has sent.
    ends: [TcpEnd; 2],
    /// Of its records so far.
    initiator: Option<Initiator>,
    /// Where its records so far were counted.
    pub chosen: Chosen,
    /// It found the table full: the next drain exports it.
    pub beyond: bool,
    /// The number of the translation that was found for it last; 0: none.
    pub translation: u32,
    /// For each direction the digest of the flow whose tunnel it came in; 0: none.
    carriers: [u64; 2],
}

impl Conversation {
    /// One that is about to be [`note`](Self::note)d first.
    pub fn new(id: u64, beyond: bool) -> Self {
        Self {
            id,
            start: u64::MAX,
            last: 0,
            exported: 0,
            tallies: NONE,
            interval: 0,
            ends: Default::default(),
            initiator: None,
            chosen: Chosen::default(),
            beyond,
            translation: 0,
            carriers: [0; 2],
        }
    }

    /// Takes note of packets that were counted in `interval`, and of what the probe marked them with.
    pub fn note(&mut self, found: &Tally, marks: u8, interval: u32) {
        self.start = self.start.min(found.first);
        self.last = self.last.max(found.last);
        self.interval = interval;
        let direction = usize::from(found.spot.reverse);
        let end = &mut self.ends[direction];
        end.seen = true;
        end.flags |= found.tcp_flags;
        end.opened |= u32::from(marks) & SYN_SEEN != 0;
        end.answered |= u32::from(marks) & SYN_ACK_SEEN != 0;
    }

    /// Notes that packets of one direction came in a tunnel.
    pub fn carried_by(&mut self, reverse: bool, digest: u64) {
        self.carriers[usize::from(reverse)] = digest;
    }

    /// The digest of the tunnel: that of the packets that the one who began it sends, else of the others.
    pub fn carrier(&self) -> u64 {
        let reverse = usize::from(self.initiator.is_some_and(|initiator| initiator.reverse));
        match self.carriers[reverse] {
            0 => self.carriers[1 - reverse],
            digest => digest,
        }
    }

    /// Begins the next record.
    pub fn restart(&mut self, now: u64) {
        (self.start, self.exported) = (u64::MAX, now);
    }

    /// When its last record was exported, if there was one.
    pub fn exported(&self) -> Option<u64> {
        (self.exported > 0).then_some(self.exported)
    }

    /// How far it has come, if it is TCP.
    pub fn tcp_state(&self, key: &FlowKey) -> Option<TcpState> {
        key.is_tcp().then(|| TcpState::of(self.ends))
    }

    /// Whether TCP has said that nothing more will come.
    pub fn is_over(&self, key: &FlowKey) -> bool {
        self.tcp_state(key).is_some_and(TcpState::is_over)
    }

    /// Judges who began it by what is known now. A record of it keeps to what the one before
    /// said, unless a SYN tells better.
    pub fn judge(&mut self, key: &FlowKey, tallies: &[Tally]) -> Initiator {
        let first = |reverse| tallies.iter().filter(|t| t.spot.reverse == reverse).map(|t| t.first).min();
        let judged = Initiator::judge(self.initiator, key, &self.ends, [first(false), first(true)]);
        *self.initiator.insert(judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversations::samples::{icmp, tally, tcp};
    use weir_record::Evidence;

    /// What each direction has shown: marks, and when.
    fn judged(key: &FlowKey, forward: Option<(u32, u64)>, reverse: Option<(u32, u64)>) -> (bool, Evidence) {
        let mut conversation = Conversation::new(0, false);
        let mut tallies = Vec::new();
        for (found, reverse) in [(forward, false), (reverse, true)] {
            if let Some((marks, first)) = found {
                tallies.push(tally(2, reverse, first, 1));
                conversation.note(tallies.last().expect("pushed"), marks as u8, 1);
            }
        }
        let Initiator { reverse, evidence } = conversation.judge(key, &tallies);
        (reverse, evidence)
    }

    #[test]
    fn a_syn_tells_who_began() {
        // Whatever the ports and the times say.
        let key = tcp(80, 40_000);
        assert_eq!(judged(&key, Some((SYN_SEEN, 9)), Some((SYN_ACK_SEEN, 8))), (false, Evidence::Syn));
        assert_eq!(judged(&key, Some((SYN_ACK_SEEN, 1)), Some((SYN_SEEN, 8))), (true, Evidence::Syn));
        assert_eq!(judged(&key, Some((SYN_ACK_SEEN, 1)), None), (true, Evidence::Syn));
        assert_eq!(judged(&key, Some((0, 9)), Some((SYN_ACK_SEEN, 8))), (false, Evidence::Syn));
        // Both opened (RFC 9293, simultaneous open): the next best.
        assert_eq!(judged(&key, Some((SYN_SEEN, 9)), Some((SYN_SEEN, 8))), (true, Evidence::Ports));
    }

    #[test]
    fn ports_and_time_tell_where_no_syn_does() {
        assert_eq!(judged(&tcp(80, 8080), Some((0, 1)), Some((0, 2))), (true, Evidence::Ports));
        assert_eq!(judged(&tcp(50_000, 8080), Some((0, 2)), Some((0, 1))), (false, Evidence::Ports));
        assert_eq!(judged(&tcp(50_000, 40_000), Some((0, 2)), Some((0, 1))), (true, Evidence::Time));
        assert_eq!(judged(&tcp(50_000, 40_000), None, Some((0, 1))), (true, Evidence::Time));
        assert_eq!(judged(&tcp(50_000, 40_000), Some((0, 1)), Some((0, 1))), (false, Evidence::None));
        assert_eq!(judged(&icmp(8), None, Some((0, 1))), (false, Evidence::Request));
    }

    #[test]
    fn a_later_record_keeps_to_it_unless_a_syn_tells_better() {
        let key = tcp(50_000, 40_000);
        let mut conversation = Conversation::new(1, false);
        let (forward, reverse) = (tally(2, false, 1, 1), tally(3, true, 5, 1));
        conversation.note(&forward, 0, 1);
        assert_eq!(conversation.judge(&key, &[forward]).evidence, Evidence::Time);
        conversation.restart(10);
        conversation.note(&reverse, 0, 2);
        assert!(!conversation.judge(&key, &[reverse]).reverse, "seen first in this record only");
        conversation.note(&reverse, SYN_SEEN as u8, 3);
        let better = Initiator { reverse: true, evidence: Evidence::Syn };
        assert_eq!(conversation.judge(&key, &[reverse]), better);
    }
}
