//! What has become of what is pushed.

use super::families::{About, Families, about};
use prometheus_client::registry::Unit;
use std::fmt;
use weir_record::{PeerCondition, PushState};

pub fn encode(pushes: &[PushState], families: &mut Families<'_>) -> fmt::Result {
    type Number = fn(&PushState) -> u64;
    let number = |of: Number| pushes.iter().map(move |push| (vec![("push", push.name.clone())], of(push)));
    let grows: [(About, Number); 5] = [
        (about("weir_push_taken_samples", "Samples that the server has taken"), |push| push.taken_samples),
        (about("weir_push_refused_samples", "Samples that it has refused for good: lost"), |push| {
            push.refused_samples
        }),
        (about("weir_push_dropped_samples", "Samples that have waited too long for it: lost"), |push| {
            push.dropped_samples
        }),
        (about("weir_push_failures", "How often samples could not be sent"), |push| push.failures),
        (about("weir_push_gaps", "How often there were no samples to send"), |push| push.gaps),
    ];
    grows.into_iter().try_for_each(|(about, of)| families.counter(about, number(of)))?;
    let connected = about("weir_push_connected", "Whether the server takes what it is sent");
    families.gauge(connected, number(|push| u64::from(push.condition == PeerCondition::Connected)))?;
    let waits = about("weir_push_waiting_samples", "Samples that wait in memory");
    families.gauge(waits, number(|push| push.waiting_samples))?;
    let taken = about("weir_push_waiting", "What these take").of(Unit::Bytes);
    families.gauge(taken, number(|push| push.waiting_bytes))
}
