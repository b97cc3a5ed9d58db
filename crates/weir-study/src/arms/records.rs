//! The records of `plain.h`, in 64-bit words.

use super::tally::{Counters, Key};

/// Words of `struct plain_key`.
pub const KEY: usize = size_of::<Key>() / 8;
/// Words of `struct postcard`.
pub const POSTCARD: usize = KEY + 2;

/// The words of what the kernel has handed out as bytes.
pub fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.get(..8 * N)?.chunks_exact(8)) {
        *word = u64::from_ne_bytes(*bytes.first_chunk()?);
    }
    Some(words)
}

/// Key, time; bytes, packets and TCP flags.
pub fn postcard(card: &[u64; POSTCARD]) -> (Key, Counters) {
    let mut key = Key::default();
    key.copy_from_slice(&card[..KEY]);
    let rest = card[KEY + 1].to_ne_bytes();
    let bytes = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]);
    let packets = u16::from_ne_bytes([rest[4], rest[5]]);
    (key, Counters { packets: packets.into(), bytes: bytes.into(), last: card[KEY] })
}

/// Packets, bytes, first, last.
pub fn value(value: [u64; 4]) -> Counters {
    Counters { packets: value[0], bytes: value[1], last: value[3] }
}
