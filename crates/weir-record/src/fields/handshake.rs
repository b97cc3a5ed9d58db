//! How far the ends of a forwarded connection are, as its handshake tells.

use crate::field::{Field, Kind, Unit};
use crate::read::set;

/// The same of either end: what differs is its name and where it lies in a record.
macro_rules! way_to {
    ($end:ident, $doc:literal) => {
        Field {
            unit: Unit::Microseconds,
            ..end_field!(
                $end,
                "_handshake_rtt",
                162,
                "tcp.handshake.rtt",
                Kind::Number,
                $doc,
                |record| record.$end.handshake_rtt.into(),
                |draft, value| set(&mut draft.record.$end.handshake_rtt, value.number().map(Some))
            )
        }
    };
}

/// In the order of output.
pub const FIELDS: &[Field] = &[
    way_to!(
        source,
        "Of a connection that this host only forwards, how long it took in the handshake from the interface that leads to the server to this end and back: of the server from SYN to SYN-ACK, of the client from SYN-ACK to ACK, and with the end's own delay in it; where a SYN or a SYN-ACK was sent again, from the last one. Of the whole connection, and the same at each interface of the network namespace. Null where one end is of this namespace, where the handshake was not seen whole, where packets are sampled, and with `--tcp off`."
    ),
    way_to!(destination, "The same way to the other end."),
];
