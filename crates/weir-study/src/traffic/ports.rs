//! Which flow a packet is of: its two UDP ports say so, in both families and on any link.

use std::ops::RangeInclusive;

/// The first destination port.
const DESTINATION_FIRST: u16 = 10_000;
/// The first source port.
const SOURCE_FIRST: u16 = 20_000;
/// So many flows share a source port; the same as PORT_BITS in `traffic.bpf.c`.
const BITS: u32 = 15;
/// The most flows that can be told apart.
pub const FLOWS_MAX: u32 = 1 << 20;

/// Source and destination port of a flow.
pub fn of(flow: u32) -> (u16, u16) {
    let low = (flow & ((1 << BITS) - 1)) as u16;
    (SOURCE_FIRST + (flow >> BITS) as u16, DESTINATION_FIRST + low)
}

/// The flow with these ports; nothing for ports that no flow of ours has.
pub fn flow(source: u16, destination: u16) -> Option<u32> {
    let high = u32::from(source.checked_sub(SOURCE_FIRST)?);
    let low = u32::from(destination.checked_sub(DESTINATION_FIRST)?);
    (low < 1 << BITS && high < FLOWS_MAX >> BITS).then_some(high << BITS | low)
}

/// All destination ports.
pub const DESTINATIONS: RangeInclusive<u16> = DESTINATION_FIRST..=DESTINATION_FIRST + ((1 << BITS) - 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_tell_the_flow() {
        for number in [0, 1, 32_767, 32_768, 100_000, FLOWS_MAX - 1] {
            let (source, destination) = of(number);
            assert_eq!(flow(source, destination), Some(number));
            assert!(DESTINATIONS.contains(&destination));
        }
        assert_eq!(flow(SOURCE_FIRST, 53), None);
        assert_eq!(flow(53, DESTINATION_FIRST), None);
        assert_eq!(flow(SOURCE_FIRST + 32, DESTINATION_FIRST), None);
    }
}
