//! How metrics fare that are pushed, a line for each server.

use super::facts::{alarm, cut};
use crate::text;
use weir_record::{PeerCondition, PushState};

/// A second line where something is wrong.
pub fn lines(push: &PushState) -> impl Iterator<Item = (&'static str, String)> {
    let error = push.error.as_deref().map(alarm);
    [("push", cut(format!("{}: {}", state(push), push.name)))].into_iter().chain(error)
}

/// Where it goes may be long: what has become of the samples goes first.
fn state(push: &PushState) -> String {
    let condition = match push.condition {
        PeerCondition::Untried => "nothing sent yet",
        PeerCondition::Connected => "connected",
        PeerCondition::Away => "away",
    };
    let lost = push.refused_samples + push.dropped_samples;
    format!(
        "{condition}, {} samples taken, {} wait, {} lost",
        text::count(push.taken_samples),
        text::count(push.waiting_samples),
        text::grouped(lost)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_is_lost_is_said() {
        let mut push = PushState { taken_samples: 12, ..PushState::default() };
        push.condition = PeerCondition::Connected;
        assert_eq!(state(&push), "connected, 12 samples taken, 0 wait, 0 lost");
        push.condition = PeerCondition::Away;
        (push.waiting_samples, push.refused_samples, push.dropped_samples) = (34, 5, 6);
        assert_eq!(state(&push), "away, 12 samples taken, 34 wait, 11 lost");
    }
}
