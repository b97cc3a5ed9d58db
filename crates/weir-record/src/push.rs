//! How what is pushed to another program's store of metrics fares.

use crate::PeerCondition;
use serde::{Deserialize, Serialize};

/// An account of samples: what was made is taken, refused, dropped, or waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushState {
    /// Where they go.
    pub name: String,
    /// Whether it takes anything now.
    pub condition: PeerCondition,
    /// Samples that were taken.
    pub taken_samples: u64,
    /// Samples that were refused for good: lost.
    pub refused_samples: u64,
    /// Samples that have waited too long, or for which there was no room: lost.
    pub dropped_samples: u64,
    /// Samples that wait in memory.
    pub waiting_samples: u64,
    /// What these take.
    pub waiting_bytes: u64,
    /// How often they could not be sent.
    pub failures: u64,
    /// How often there was nothing to send, since the agent's state could not be had.
    pub gaps: u64,
    /// Why samples were refused or what there was could not be had or sent, the last time; stays until all goes well again.
    pub error: Option<String>,
}
