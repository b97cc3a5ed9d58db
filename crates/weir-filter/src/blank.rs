//! The one place that builds a flow record.

use std::sync::Arc;
use weir_record::{Direction, FlowEndReason, FlowKey, FlowRecord, Interface, Observations};

/// A record of one empty packet of a flow at an observation point.
pub(crate) fn blank(interface: Arc<Interface>, direction: Direction, key: FlowKey) -> FlowRecord {
    FlowRecord {
        flow_id: 0,
        parent_id: None,
        interface,
        direction,
        key,
        start: 0,
        end: 0,
        packets: 1,
        bytes: 0,
        tcp_flags: 0,
        reverse: None,
        tcp_state: None,
        dscp: 0,
        dscp_seen: 0,
        ecn_seen: 0,
        ttl: (0, 0),
        length: (0, 0),
        fragmented: false,
        sampling_rate: 1,
        end_reason: FlowEndReason::IdleTimeout,
        observations: Observations::new(),
        translation: None,
        source: Default::default(),
        destination: Default::default(),
    }
}
