//! How a TCP connection fares, as the kernels of both ends keep it, as far as they are this host's.

use crate::TcpFailure;
use crate::field::{Field, Kind, Unit};
use crate::read::{known, set};
use crate::value::{Text, Value};

/// A number that a kernel always has.
macro_rules! number {
    ($end:ident, $of:ident, $unit:ident, $name:literal, $id:literal, $otel:literal, $doc:literal) => {
        Field {
            unit: Unit::$unit,
            ..end_field!(
                $end,
                $name,
                $id,
                $otel,
                Kind::Number,
                $doc,
                |record| record.$end.tcp.as_deref().map(|tcp| tcp.$of).into(),
                |draft, value| set(&mut known(&mut draft.record.$end.tcp).$of, value.number())
            )
        }
    };
}

/// A number that there may not be yet.
macro_rules! measured {
    ($end:ident, $of:ident, $unit:ident, $name:literal, $id:literal, $otel:literal, $doc:literal) => {
        Field {
            unit: Unit::$unit,
            ..end_field!(
                $end,
                $name,
                $id,
                $otel,
                Kind::Number,
                $doc,
                |record| record.$end.tcp.as_deref().and_then(|tcp| tcp.$of).into(),
                |draft, value| set(&mut known(&mut draft.record.$end.tcp).$of, value.number().map(Some))
            )
        }
    };
}

/// The same of either end: what differs is its name and where it lies in a record. The elements 129 to 132, 141 to 143
/// and, of [`handshake`](super::handshake), 161 told these times in nanoseconds, and are not to be used again.
macro_rules! fields_of {
    ($end:ident) => {
        [
            measured!($end, handshake, Microseconds, "_tcp_handshake_time", 150, "tcp.handshake.duration", "How long the handshake of the connection took, as this end saw it: from the segment that asked for it to the one that answered. This and all below are what the kernel at this end keeps of the connection when the record leaves, or kept when it ended: of the whole connection, not of this record alone. Null where the end is not of this host, or `--tcp off`."),
            measured!($end, rtt, Microseconds, "_tcp_rtt", 151, "tcp.rtt", "Smoothed round-trip time. Null where nothing that was sent has been acknowledged."),
            measured!($end, min_rtt, Microseconds, "_tcp_min_rtt", 152, "tcp.rtt.min", "The smallest round-trip time of the last minutes (five, where `net.ipv4.tcp_min_rtt_wlen` is not set)."),
            measured!($end, rtt_variance, Microseconds, "_tcp_rtt_variance", 153, "tcp.rtt.variance", "How far round-trip times are apart, on average."),
            number!($end, retransmitted_segments, Packets, "_tcp_retransmitted_segments", 133, "tcp.retransmitted.segments", "Segments that this end has sent again."),
            number!($end, retransmitted_bytes, Bytes, "_tcp_retransmitted_bytes", 134, "tcp.retransmitted.size", "Their payload."),
            number!($end, lost_segments, Packets, "_tcp_lost_segments", 135, "tcp.lost.segments", "Segments that it took for lost."),
            number!($end, reordered, None, "_tcp_reordered", 136, "tcp.reordered", "How often it turned out that segments had overtaken each other."),
            number!($end, congestion_window, Packets, "_tcp_congestion_window", 137, "tcp.congestion_window", "How many segments may be on their way at once."),
            measured!($end, slow_start_threshold, Packets, "_tcp_slow_start_threshold", 138, "tcp.slow_start_threshold", "Where the congestion window begins to grow slowly. Null where nothing has been lost."),
            measured!($end, delivery_rate, Bytes, "_tcp_delivery_rate", 139, "tcp.delivery_rate", "Bytes a second that arrived at the other end, the last time that this was measured."),
            end_field!($end, "_tcp_zero_window", 140, "tcp.zero_window", Kind::Flag, "Whether the other end's window was closed.", |record| {
                record.$end.tcp.as_deref().map_or(Value::Absent, |tcp| Value::Flag(tcp.zero_window))
            }, |draft, value| set(&mut known(&mut draft.record.$end.tcp).zero_window, value.flag())),
            number!($end, busy, Microseconds, "_tcp_busy_time", 154, "tcp.busy.duration", "How long there was something to send, or something on its way."),
            number!($end, receive_window_limited, Microseconds, "_tcp_receive_window_limited_time", 155, "tcp.receive_window_limited.duration", "How long of that the other end's window took no more."),
            number!($end, send_buffer_limited, Microseconds, "_tcp_send_buffer_limited_time", 156, "tcp.send_buffer_limited.duration", "How long of that the send buffer held all that it can, and more could have been on its way."),
            number!($end, bytes_sent, Bytes, "_tcp_bytes_sent", 144, "tcp.sent.size", "Payload that this end has sent, what it sent again included."),
            number!($end, bytes_acknowledged, Bytes, "_tcp_bytes_acknowledged", 145, "tcp.acknowledged.size", "Payload of its that the other end has acknowledged, and one for its SYN."),
            number!($end, bytes_received, Bytes, "_tcp_bytes_received", 146, "tcp.received.size", "Payload that it has received, in order and once."),
            number!($end, resets_sent, Packets, "_tcp_resets_sent", 147, "tcp.resets.sent", "Resets that it has sent."),
            number!($end, resets_received, Packets, "_tcp_resets_received", 148, "tcp.resets.received", "Resets that ended the connection at this end."),
            end_field!($end, "_tcp_failure", 149, "tcp.failure", Kind::Text, "Why the connection failed: `refused` (a reset was the answer), `timed_out`, `unreachable`, `reset_in_handshake` (before anything was exchanged), `reset` (later), `abandoned` (the process gave up before there was an answer), `accept_queue_full` (this end listens, and does not accept what waits), `syn_queue_full` (it listens, and has as many handshakes under way as it wants to have).", |record| {
                let failure = record.$end.tcp.as_deref().and_then(|tcp| tcp.failure);
                failure.map_or(Value::Absent, |failure| Value::Text(Text::Borrowed(failure.as_str())))
            }, |draft, value| set(&mut known(&mut draft.record.$end.tcp).failure, value.word(&TcpFailure::ALL, TcpFailure::as_str).map(Some))),
        ]
    };
}

/// In the order of output.
pub const SOURCE: &[Field] = &fields_of!(source);
/// The same of the other end.
pub const DESTINATION: &[Field] = &fields_of!(destination);
