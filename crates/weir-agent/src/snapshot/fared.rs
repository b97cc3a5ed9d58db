//! How TCP has fared at a socket, by `struct tcp_info` (include/uapi/linux/tcp.h).

// Where it stands there.
const RTT: usize = 68;
const TOTAL_RETRANS: usize = 100;
const BYTES_RETRANS: usize = 208;

/// What the kernel keeps of a connection at one end, since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fared {
    /// Smoothed round-trip time in microseconds; none where nothing was answered yet.
    pub rtt: Option<u64>,
    /// Segments that this end has sent again.
    pub retransmitted_segments: u64,
    /// Their payload.
    pub retransmitted_bytes: u64,
}

impl Fared {
    /// None where a kernel tells less than that.
    pub(super) fn read(info: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
        let bytes = u64::from_ne_bytes(*info.get(BYTES_RETRANS..)?.first_chunk()?);
        let micros = u64::from(word(RTT)?);
        Some(Self {
            rtt: (micros > 0).then_some(micros),
            retransmitted_segments: word(TOTAL_RETRANS)?.into(),
            retransmitted_bytes: bytes,
        })
    }

    /// Of several connections: the longest time, since a mean hides the one that is slow.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            rtt: self.rtt.max(other.rtt),
            retransmitted_segments: self.retransmitted_segments.saturating_add(other.retransmitted_segments),
            retransmitted_bytes: self.retransmitted_bytes.saturating_add(other.retransmitted_bytes),
        }
    }
}
