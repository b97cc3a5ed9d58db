//! How a TCP connection fares, as the kernel of one end keeps it.

/// What one end of a connection knows of it. Counts are of its whole life; times are in microseconds, as `tcp_info` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpHealth {
    /// From the segment that asked for the connection to the one that answered.
    pub handshake: Option<u64>,
    /// Smoothed round-trip time.
    pub rtt: Option<u64>,
    /// The smallest one of the last minutes.
    pub min_rtt: Option<u64>,
    /// How much it varies.
    pub rtt_variance: Option<u64>,
    /// Segments that were sent again.
    pub retransmitted_segments: u64,
    /// Bytes that were.
    pub retransmitted_bytes: u64,
    /// Segments that were taken for lost.
    pub lost_segments: u64,
    /// How often it turned out that segments had overtaken each other.
    pub reordered: u64,
    /// Segments that may be on their way at once.
    pub congestion_window: u64,
    /// Where that begins to grow slowly; none where nothing has been lost yet.
    pub slow_start_threshold: Option<u64>,
    /// Bytes a second, the last time that it was measured.
    pub delivery_rate: Option<u64>,
    /// Whether the other end takes nothing.
    pub zero_window: bool,
    /// While there was something to send, or something sent was not acknowledged.
    pub busy: u64,
    /// Of that, while the other end's window did not take more.
    pub receive_window_limited: u64,
    /// Of that, while the process could not hand over more for want of a larger send buffer.
    pub send_buffer_limited: u64,
    /// Bytes that were sent, those that were sent again among them.
    pub bytes_sent: u64,
    /// Bytes that were acknowledged.
    pub bytes_acknowledged: u64,
    /// Bytes that were received in order.
    pub bytes_received: u64,
    /// Resets that this end has sent.
    pub resets_sent: u64,
    /// Resets that ended the connection here.
    pub resets_received: u64,
    /// Why it failed.
    pub failure: Option<TcpFailure>,
}

/// Why a connection failed, or was never one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TcpFailure {
    /// A reset was the answer: nobody listens there.
    Refused,
    /// No answer, or none any more.
    TimedOut,
    /// A router, or this host itself, knows no way.
    Unreachable,
    /// A reset came before anything was exchanged.
    ResetInHandshake,
    /// A reset came later.
    Reset,
    /// The process gave up before there was an answer.
    Abandoned,
    /// Who listens there has as many connections waiting to be accepted as it wants to have.
    AcceptQueueFull,
    /// Who listens there has as many handshakes under way as it wants to have, and sends no SYN cookies.
    SynQueueFull,
}

impl TcpFailure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::ResetInHandshake,
        Self::Reset,
        Self::Abandoned,
        Self::AcceptQueueFull,
        Self::SynQueueFull,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::ResetInHandshake => "reset_in_handshake",
            Self::Reset => "reset",
            Self::Abandoned => "abandoned",
            Self::AcceptQueueFull => "accept_queue_full",
            Self::SynQueueFull => "syn_queue_full",
        }
    }
}
