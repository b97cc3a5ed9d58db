//! Where the fields of `plain.h` lie that a reader looks at.

use super::Tally;

/// Bytes of `struct plain_key`.
pub const KEY: usize = 48;
/// Bytes of `struct postcard`.
pub const POSTCARD: usize = 64;

const SOURCE_PORT: usize = 32;
const DESTINATION_PORT: usize = 34;
const PACKETS_OF_POSTCARD: usize = 60;

/// Adds a record of one packet.
pub fn add_postcard(tally: &mut Tally, card: &[u8]) {
    let packets = card.get(PACKETS_OF_POSTCARD..).and_then(|rest| rest.first_chunk());
    if let Some(packets) = packets {
        add(tally, card, u16::from_ne_bytes(*packets).into());
    }
}

/// Adds what a map holds for a flow: one value, or one for each CPU.
pub fn add_values(tally: &mut Tally, key: &[u8], values: &[u8], size: usize) {
    let packets = values.chunks_exact(size).filter_map(|value| value.first_chunk());
    add(tally, key, packets.map(|packets| u64::from_ne_bytes(*packets)).sum());
}

fn add(tally: &mut Tally, key: &[u8], packets: u64) {
    let port =
        |offset: usize| key.get(offset..).and_then(|rest| rest.first_chunk()).map(|p| u16::from_be_bytes(*p));
    if let (Some(source), Some(destination)) = (port(SOURCE_PORT), port(DESTINATION_PORT)) {
        tally.add(source, destination, packets);
    }
}
