//! From what the kernel keeps to what records say.

use std::time::Duration;
use weir_kernel::{TCP_ENDED, TCP_REFUSED, TCP_RESET_SENT, TCP_WAS_RESET, TcpLook};
use weir_record::{TcpFailure, TcpHealth};

// include/net/tcp_states.h
pub const ESTABLISHED: u8 = 1;
pub const SYN_SENT: u8 = 2;
pub const LISTEN: u8 = 10;

/// What a connection has where nothing was lost: TCP_INFINITE_SSTHRESH.
const NO_THRESHOLD: u32 = 0x7fff_ffff;
const NOT_MEASURED: u32 = u32::MAX;

// errno(3)
const NETWORK_DOWN: u16 = 100;
const NETWORK_UNREACHABLE: u16 = 101;
const RESET: u16 = 104;
const TIMED_OUT: u16 = 110;
const REFUSED: u16 = 111;
const HOST_DOWN: u16 = 112;
const HOST_UNREACHABLE: u16 = 113;
const NOT_PERMITTED: u16 = 1;
const ACCESS: u16 = 13;
const BROKEN_PIPE: u16 = 32;

/// What `look` says, where a jiffy is as long as `tick`.
pub fn health(look: &TcpLook, tick: Duration) -> TcpHealth {
    // As tcp_get_info_chrono_stats() has it, whole microseconds of a jiffy of 1/300 s, too.
    let jiffies = |count: u32| u64::from(count) * tick.as_micros() as u64;
    let [busy, receive, send] =
        [look.busy, look.receive_window_limited, look.send_buffer_limited].map(jiffies);
    let change = u32::from(look.change);
    let was_reset = u32::from(look.marks) & TCP_WAS_RESET != 0 || [RESET, BROKEN_PIPE].contains(&look.error);
    TcpHealth {
        handshake: measured(look.handshake),
        // Whole ones, as tcp_info and ss tell them: the kernel reckons in eighths and quarters, which are noise.
        rtt: (look.rtt > 0).then(|| u64::from(look.rtt >> 3)),
        min_rtt: measured(look.min_rtt).filter(|_| look.min_rtt != NOT_MEASURED),
        rtt_variance: (look.rtt > 0).then(|| u64::from(look.rtt_deviation >> 2)),
        retransmitted_segments: look.segments_retransmitted.into(),
        retransmitted_bytes: look.bytes_retransmitted,
        lost_segments: look.segments_lost.into(),
        reordered: look.reordered.into(),
        congestion_window: look.congestion_window.into(),
        slow_start_threshold: Some(look.slow_start_threshold)
            .filter(|threshold| *threshold < NO_THRESHOLD)
            .map(u64::from),
        delivery_rate: delivery_rate(look),
        zero_window: look.state == ESTABLISHED && look.send_window == 0,
        busy: busy + receive + send,
        receive_window_limited: receive,
        send_buffer_limited: send,
        bytes_sent: look.bytes_sent,
        bytes_acknowledged: look.bytes_acknowledged,
        bytes_received: look.bytes_received,
        resets_sent: u64::from([TCP_RESET_SENT, TCP_REFUSED].contains(&change)),
        resets_received: u64::from(was_reset),
        failure: failure(look),
    }
}

/// A length of time, unless there was none yet.
fn measured(micros: u32) -> Option<u64> {
    (micros > 0).then(|| micros.into())
}

/// Bytes a second, as `tcp_info` has it.
fn delivery_rate(look: &TcpLook) -> Option<u64> {
    let bytes = u64::from(look.delivered) * u64::from(look.segment_size);
    (look.delivered > 0).then(|| bytes.saturating_mul(1_000_000).checked_div(look.delivered_in.into()))?
}

/// Why a connection failed that has ended, or was refused here.
pub fn failure(look: &TcpLook) -> Option<TcpFailure> {
    match u32::from(look.change) {
        TCP_REFUSED if look.state == LISTEN => is_full(look).then_some(TcpFailure::AcceptQueueFull),
        TCP_REFUSED => Some(TcpFailure::Refused),
        TCP_ENDED => of_error(look),
        _ => None,
    }
}

fn of_error(look: &TcpLook) -> Option<TcpFailure> {
    // Its SYN is the only byte of its that counts.
    let nothing_exchanged = look.bytes_acknowledged <= 1 && look.bytes_received == 0;
    match look.error {
        REFUSED => Some(TcpFailure::Refused),
        RESET | BROKEN_PIPE if nothing_exchanged => Some(TcpFailure::ResetInHandshake),
        RESET | BROKEN_PIPE => Some(TcpFailure::Reset),
        TIMED_OUT => Some(TcpFailure::TimedOut),
        NETWORK_DOWN | NETWORK_UNREACHABLE | HOST_DOWN | HOST_UNREACHABLE | NOT_PERMITTED | ACCESS => {
            Some(TcpFailure::Unreachable)
        }
        _ => (look.state == SYN_SENT).then_some(TcpFailure::Abandoned),
    }
}

/// Whether a socket that listens takes no more: the kernel's own rule lets one more in than there is room for.
fn is_full(look: &TcpLook) -> bool {
    look.state == LISTEN && look.accept_queue > look.accept_queue_room
}

/// Why a socket that listens turns away who comes, if it does. One that `has_dropped` segments since the last look, and
/// has room for connections by now, had none, or has too many handshakes under way: inet_csk_reqsk_queue_is_full().
/// Full of these alone it may still send SYN cookies.
#[must_use]
pub fn turned_away(look: &TcpLook, has_dropped: bool) -> Option<TcpFailure> {
    let has_many_handshakes = look.syn_queue >= look.accept_queue_room.max(1);
    match (is_full(look), has_dropped) {
        (false, false) => None,
        (false, true) if has_many_handshakes => Some(TcpFailure::SynQueueFull),
        _ => Some(TcpFailure::AcceptQueueFull),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(state: u8, error: u16) -> TcpLook {
        TcpLook { change: TCP_ENDED as u8, state, error, ..TcpLook::default() }
    }

    #[test]
    fn every_failure_has_a_cause() {
        for (state, error, cause) in [
            (SYN_SENT, REFUSED, Some(TcpFailure::Refused)),
            (SYN_SENT, TIMED_OUT, Some(TcpFailure::TimedOut)),
            (SYN_SENT, HOST_UNREACHABLE, Some(TcpFailure::Unreachable)),
            (SYN_SENT, 0, Some(TcpFailure::Abandoned)),
            (ESTABLISHED, RESET, Some(TcpFailure::ResetInHandshake)),
            (ESTABLISHED, TIMED_OUT, Some(TcpFailure::TimedOut)),
            (ESTABLISHED, 0, None),
        ] {
            assert_eq!(failure(&ended(state, error)), cause, "{state} {error}");
        }
        let later = TcpLook { bytes_received: 7, ..ended(ESTABLISHED, RESET) };
        assert_eq!(failure(&later), Some(TcpFailure::Reset));
        assert_eq!(health(&later, Duration::from_millis(4)).resets_received, 1);
    }

    #[test]
    fn numbers_are_those_of_tcp_info() {
        let look = TcpLook {
            rtt: 800,
            rtt_deviation: 200,
            min_rtt: NOT_MEASURED,
            slow_start_threshold: NO_THRESHOLD,
            delivered: 10,
            delivered_in: 1000,
            segment_size: 1448,
            busy: 2,
            receive_window_limited: 3,
            ..TcpLook::default()
        };
        let health = health(&look, Duration::from_millis(4));
        assert_eq!((health.rtt, health.rtt_variance, health.min_rtt), (Some(100), Some(50), None));
        assert_eq!((health.slow_start_threshold, health.delivery_rate), (None, Some(14_480_000)));
        assert_eq!((health.busy, health.receive_window_limited), (20_000, 12_000));
    }

    #[test]
    fn a_queue_that_is_full_refuses() {
        let room = |accept_queue| TcpLook {
            change: TCP_REFUSED as u8,
            state: LISTEN,
            accept_queue,
            accept_queue_room: 2,
            ..TcpLook::default()
        };
        assert_eq!(failure(&room(3)), Some(TcpFailure::AcceptQueueFull));
        let asked = |look: TcpLook| TcpLook { syn_queue: 2, ..look };
        assert_eq!(turned_away(&asked(room(0)), false), None);
        assert_eq!(turned_away(&asked(room(0)), true), Some(TcpFailure::SynQueueFull));
        assert_eq!(turned_away(&asked(room(3)), true), Some(TcpFailure::AcceptQueueFull));
        assert_eq!(turned_away(&room(0), true), Some(TcpFailure::AcceptQueueFull));
        assert_eq!(failure(&room(2)), None);
        let nobody = TcpLook { change: TCP_REFUSED as u8, ..TcpLook::default() };
        assert_eq!(failure(&nobody), Some(TcpFailure::Refused));
    }
}
