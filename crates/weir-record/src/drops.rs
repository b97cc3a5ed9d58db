//! Packets that the kernel has thrown away.

use std::sync::Arc;

/// What was dropped of a flow, in the directions that its record is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Wire packets.
    pub packets: u64,
    /// Their bytes, from the network header on.
    pub bytes: u64,
    /// The kernel's reasons, the most frequent first, with commas between them; none where nothing was dropped.
    pub reasons: Option<Arc<str>>,
}

/// Which of the kernel's books says that packets were dropped. One drop may be in several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropSource {
    /// The packet itself, at its end.
    KfreeSkb,
    /// The statistics of an interface's outermost queueing discipline.
    Qdisc,
    /// TCP's counters of queues of sockets that listen.
    ListenQueue,
    /// Connection tracking's counters.
    Conntrack,
    /// The statistics of an interface.
    Interface,
}

impl DropSource {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::KfreeSkb, Self::Qdisc, Self::ListenQueue, Self::Conntrack, Self::Interface];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KfreeSkb => "kfree_skb",
            Self::Qdisc => "qdisc",
            Self::ListenQueue => "listen_queue",
            Self::Conntrack => "conntrack",
            Self::Interface => "interface",
        }
    }
}
