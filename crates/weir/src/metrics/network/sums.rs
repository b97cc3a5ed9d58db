//! What a series is made of.

use weir_agent::Durations;
use weir_record::{Count, FlowRecord, Moved};

/// What records of one kind have counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub records: u64,
    pub moved: Moved,
    /// TCP segments that were sent again, by the source and by the destination.
    pub retransmitted: [u64; 2],
    /// Round-trip times as the ends have them: at each record one, or two where both ends are here.
    pub rtt: Durations,
    /// What the kernel has dropped of it, both ways; none where that is not watched.
    pub dropped: Option<Count>,
    /// How long answers to DNS questions took.
    pub dns: Durations,
}

impl Sums {
    /// What a record adds, with the segments that were sent again since the one before it.
    pub fn of(record: &FlowRecord, retransmitted: [u64; 2]) -> Self {
        let mut rtt = Durations::default();
        let ends = [&record.source, &record.destination].into_iter();
        ends.filter_map(|end| end.tcp.as_ref()?.rtt).for_each(|microseconds| rtt.add(microseconds));
        let dropped = record.dropped.as_ref();
        let dropped = dropped.map(|dropped| Count { packets: dropped.packets, bytes: dropped.bytes });
        let (moved, dns) = (Moved::of(record), Durations::default());
        Self { records: 1, moved, retransmitted, rtt, dropped, dns }
    }

    /// What an answer of DNS adds, which took so long.
    pub fn of_answer(microseconds: u64) -> Self {
        let mut dns = Durations::default();
        dns.add(microseconds);
        Self { dns, ..Self::default() }
    }

    pub fn add(&mut self, more: &Self) {
        self.records += more.records;
        self.moved.add(more.moved);
        self.retransmitted.iter_mut().zip(more.retransmitted).for_each(|(sum, more)| *sum += more);
        self.rtt.add_all(&more.rtt);
        self.dns.add_all(&more.dns);
        if let Some(more) = more.dropped {
            *self.dropped.get_or_insert_default() += more;
        }
    }

    /// Whether TCP has told anything.
    pub fn is_of_tcp(&self) -> bool {
        self.rtt.count() > 0 || self.retransmitted != [0, 0]
    }
}
