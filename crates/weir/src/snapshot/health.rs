//! How TCP fares, in the words of `weir top`.

use serde::Serialize;
use weir_agent::Fared;

/// What is not known is null.
#[derive(Serialize, Default)]
pub struct Health {
    /// In microseconds.
    tcp_rtt: Option<u64>,
    tcp_retransmitted_segments: Option<u64>,
    tcp_retransmitted_bytes: Option<u64>,
}

impl Health {
    pub fn of(fared: Option<Fared>) -> Self {
        Self {
            tcp_rtt: fared.and_then(|fared| fared.rtt),
            tcp_retransmitted_segments: fared.map(|fared| fared.retransmitted_segments),
            tcp_retransmitted_bytes: fared.map(|fared| fared.retransmitted_bytes),
        }
    }
}
