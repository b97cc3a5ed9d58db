//! What a socket is doing.

use super::message::TCP;

/// TCP's states (RFC 9293), and those of sockets that have no connections. In the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SocketState {
    /// It waits for connections.
    Listen,
    /// No protocol of connections: it talks to anybody.
    Unconnected,
    /// No protocol of connections: it talks to one end only.
    Connected,
    /// A connection that was asked for.
    SynSent,
    /// A connection that the other end has asked for.
    SynReceived,
    /// A connection.
    Established,
    /// The other end has said that it ends.
    CloseWait,
    /// This end has said so.
    FinWait1,
    /// It was told that this is known.
    FinWait2,
    /// Both have said so at once.
    Closing,
    /// This end has said so last.
    LastAck,
    /// It is over; nobody has it any more.
    TimeWait,
    /// Nothing.
    Closed,
}

impl SocketState {
    /// From the kernel's number (include/net/tcp_states.h).
    pub(crate) fn of(protocol: u8, number: u8) -> Self {
        match (protocol, number) {
            (TCP, 1) => Self::Established,
            (TCP, 2) => Self::SynSent,
            (TCP, 3 | 12) => Self::SynReceived,
            (TCP, 4) => Self::FinWait1,
            (TCP, 5) => Self::FinWait2,
            (TCP, 6) => Self::TimeWait,
            (TCP, 8) => Self::CloseWait,
            (TCP, 9) => Self::LastAck,
            (TCP, 10) => Self::Listen,
            (TCP, 11) => Self::Closing,
            (TCP, _) => Self::Closed,
            (_, 1) => Self::Connected,
            _ => Self::Unconnected,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Unconnected => "unconnected",
            Self::Connected => "connected",
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_received",
            Self::Established => "established",
            Self::CloseWait => "close_wait",
            Self::FinWait1 => "fin_wait_1",
            Self::FinWait2 => "fin_wait_2",
            Self::Closing => "closing",
            Self::LastAck => "last_ack",
            Self::TimeWait => "time_wait",
            Self::Closed => "closed",
        }
    }

    /// Whether it is there for whoever comes, rather than for one other end.
    #[must_use]
    pub fn serves(self) -> bool {
        matches!(self, Self::Listen | Self::Unconnected)
    }
}
