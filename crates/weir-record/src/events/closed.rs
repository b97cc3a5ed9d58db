//! What became of TCP's connections.

use super::kind::{Actor, EventKind, Place};
use super::{EventField, Happening};
use crate::TcpHealth;
use crate::field::{Kind, Unit};
use crate::value::{Text, Value};
use std::sync::Arc;

/// A connection has ended at one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// What TCP has kept of it there.
    pub health: Arc<TcpHealth>,
    /// The state in which it was until then, in the kernel's word.
    pub state: &'static str,
}

/// It is told with all that was kept of it.
pub static TCP: EventKind = EventKind {
    name: "tcp",
    table: "tcp",
    doc: "A TCP connection, or the attempt at one, ended at one end, the source of the event: with all that TCP has kept of it there. Of a connection within this host each end is told by itself.",
    place: Place::Connection,
    actor: Actor::Source,
    own: &[EventField {
        name: "socket_state",
        kind: Kind::Text,
        nullable: false,
        unit: Unit::None,
        otel: "weir.socket.state",
        doc: "The state in which it was until then, as in `weir snapshot sockets`: `last_ack` where the other end closed first, `fin_wait_2` where this one did, `syn_sent` where there never was a connection.",
        read: |event| match &event.happening {
            Happening::Closed(closed) => Value::Text(Text::Borrowed(closed.state)),
            _ => Value::Absent,
        },
    }],
    shown: &["remote", "source_tcp_failure", "source_tcp_rtt", "socket_state", "local"],
};
