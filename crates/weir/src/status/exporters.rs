//! How it stands with those that records are sent to, a line each.

use super::facts::{alarm, cut};
use crate::text;
use weir_agent::SinkState;
use weir_record::{PeerCondition, PeerState};

/// None for a sink that sends to nobody; a second line where something is wrong.
pub fn lines(sink: &SinkState) -> impl Iterator<Item = (&'static str, String)> {
    let peer = sink.peer.as_ref();
    let error = peer.and_then(|peer| peer.error.as_deref());
    peer.map(|peer| ("peer", cut(state(peer)))).into_iter().chain(error.map(alarm))
}

fn state(peer: &PeerState) -> String {
    let delivered = format!("{} delivered", text::count(peer.delivered_records));
    let waits = match peer.spooled_records {
        0 => "none wait".into(),
        records => format!(
            "{} wait on disk, {} of {}",
            text::count(records),
            text::bytes(peer.spooled_bytes),
            text::bytes(peer.spool_capacity_bytes)
        ),
    };
    let more = [
        (peer.resent_records, "sent again"),
        (peer.filtered_records, "filtered"),
        (peer.refused_records, "refused"),
        (peer.damaged_records, "damaged on disk"),
    ];
    let more = more.into_iter().filter(|(records, _)| *records > 0);
    let more: String = more.map(|(records, what)| format!(", {} {what}", text::count(records))).collect();
    match peer.condition {
        PeerCondition::Untried => format!("nothing to send yet, {waits}"),
        PeerCondition::Connected if peer.held_back => {
            format!("connected, held back by its rate, {delivered}, {waits}{more}")
        }
        PeerCondition::Connected => format!("connected, {delivered}, {waits}{more}"),
        PeerCondition::Away => format!("away, {waits}, {delivered}{more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_is_wrong_is_said() {
        let mut peer = PeerState { delivered_records: 12, ..PeerState::default() };
        assert!(state(&peer).contains("nothing to send yet"));
        peer.condition = PeerCondition::Connected;
        assert_eq!(state(&peer), "connected, 12 delivered, none wait");
        peer.held_back = true;
        assert_eq!(state(&peer), "connected, held back by its rate, 12 delivered, none wait");
        peer.condition = PeerCondition::Away;
        (peer.spooled_records, peer.spooled_bytes, peer.spool_capacity_bytes) = (34, 1 << 20, 1 << 30);
        (peer.resent_records, peer.refused_records) = (2, 1);
        assert_eq!(
            state(&peer),
            "away, 34 wait on disk, 1.0 MiB of 1.0 GiB, 12 delivered, 2 sent again, 1 refused"
        );
    }
}
