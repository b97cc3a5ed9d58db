//! The kernel's hash of a flow's key (`hash()` in `levels.h`), by which a flow inside a tunnel names the tunnel's.

use weir_kernel::FlowEntry;

pub(super) fn digest(entry: &FlowEntry, seed: u64) -> u64 {
    let second = u64::from(entry.link) << 48
        | u64::from(entry.point) << 32
        | u64::from(entry.destination_port) << 16
        | u64::from(entry.source_port);
    let mut h = (entry.addresses ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h = (h ^ (h >> 32) ^ second).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 29) ^ u64::from(entry.protocol)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 32)
}
