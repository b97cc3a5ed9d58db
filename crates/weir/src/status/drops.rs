//! What the kernel has dropped, in a line.

use super::facts::cut;
use crate::table::{ALARM, QUIET};
use crate::text;
use weir_agent::DropsState;

/// Reasons that there is room for.
const REASONS: usize = 3;

/// How many packets, and the reasons that count most, whichever of the kernel's books says so.
pub fn line(state: &DropsState) -> String {
    if state.hooks.is_empty() {
        return format!("{QUIET}not watched{QUIET:#}");
    }
    let mut line = format!("{} packets", text::count(state.packets));
    let reasons = state.reasons.iter().take(REASONS);
    let reasons: Vec<_> = reasons.map(|one| format!("{} {}", one.reason, text::count(one.packets))).collect();
    if !reasons.is_empty() {
        line.push_str(&format!(": {}", reasons.join(", ")));
    }
    match state.lost_packets {
        0 => cut(line),
        lost => {
            let lost = format!("{} not counted", text::count(lost));
            format!("{ALARM}{}{ALARM:#}", cut(format!("{lost}; {line}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_agent::DropReason;

    fn reason(reason: &str, packets: u64) -> DropReason {
        DropReason { source: "kfree_skb".into(), reason: reason.into(), packets }
    }

    #[test]
    fn the_reasons_that_count_most_are_named() {
        assert!(line(&DropsState::default()).contains("not watched"));
        let reasons = ["NO_SOCKET", "NETFILTER_DROP", "OTHERHOST", "UDP_CSUM"];
        let reasons = reasons.into_iter().zip([9, 4, 2, 1]).map(|(name, packets)| reason(name, packets));
        let state = DropsState {
            hooks: "tracepoint".into(),
            packets: 16,
            reasons: reasons.collect(),
            ..DropsState::default()
        };
        assert_eq!(line(&state), "16 packets: NO_SOCKET 9, NETFILTER_DROP 4, OTHERHOST 2");
        let lossy = line(&DropsState { lost_packets: 7, ..state });
        assert!(lossy.contains("7 not counted; 16 packets"), "{lossy}");
    }

    #[test]
    fn nothing_dropped_is_said_too() {
        let state = DropsState { hooks: "tracepoint".into(), ..DropsState::default() };
        assert_eq!(line(&state), "0 packets");
    }
}
