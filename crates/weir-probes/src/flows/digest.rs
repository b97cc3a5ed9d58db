//! The kernel's hash of a flow's key (`hash()` in `levels.h`), by which a flow inside a tunnel names the tunnel's.

use weir_kernel::FlowEntry;

/// Computes digests of flows as this probe does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Digester {
    seed: u64,
}

impl Digester {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The digest of the flow that `entry` is about.
    pub fn digest(self, entry: &FlowEntry) -> u64 {
        let second = u64::from(entry.link) << 48
            | u64::from(entry.point) << 32
            | u64::from(entry.destination_port) << 16
            | u64::from(entry.source_port);
        let protocol = u64::from(entry.protocol) << 32;
        let mut h = (entry.addresses ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(protocol);
        h = (h ^ (h >> 32) ^ second).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        h ^ (h >> 32)
    }
}
