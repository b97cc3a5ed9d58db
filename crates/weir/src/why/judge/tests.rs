use super::*;
use crate::why::connection::LISTEN;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_record::TcpHealth;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(4);
/// Jiffies.
const ALL: u32 = 250;

fn socket(first: TcpLook, last: TcpLook) -> WatchedSocket {
    let end = |port| SocketAddr::from(([10, 0, 0, 1], port));
    WatchedSocket {
        netns: (Arc::from("blue"), true),
        local: end(5000),
        remote: end(80),
        first: Some(TcpLook { time: 1_000_000_000, ..first }),
        last: TcpLook { time: 2_000_000_000, ..last },
        health: TcpHealth::default(),
        holders: Vec::new(),
    }
}

/// One that sends, has more, and is held by nothing yet.
fn sending() -> TcpLook {
    TcpLook {
        state: ESTABLISHED,
        busy: ALL,
        bytes_acknowledged: 1_000_000,
        unsent: 100_000,
        unacknowledged: 14_480,
        segments_sent: 1000,
        segment_size: 1448,
        congestion_window: 10,
        send_window: 1_000_000,
        send_buffer: 1_000_000,
        rtt: 20_000 * 8,
        min_rtt: 19_500,
        marks: TCP_WINDOW_LIMITED as u8,
        ..TcpLook::default()
    }
}

fn judged(connection: &Connection<'_>) -> (Limiter, f64) {
    let case = Case::of(connection, TICK, SECOND);
    let sum: f64 = case.limits.iter().map(|limit| limit.confidence).sum();
    assert!(sum <= 1.001, "{:?}", case.limits);
    (case.limits[0].limiter, case.limits[0].confidence)
}

fn of_sender(last: TcpLook) -> (Limiter, f64) {
    let nothing_yet = TcpLook {
        busy: 0,
        receive_window_limited: 0,
        send_buffer_limited: 0,
        bytes_acknowledged: 0,
        segments_sent: 0,
        segments_retransmitted: 0,
        ..last
    };
    let asker = socket(nothing_yet, last);
    judged(&connection(Some(&asker), None, None))
}

fn connection<'a>(
    asker: Option<&'a WatchedSocket>,
    asked: Option<&'a WatchedSocket>,
    listener: Option<&'a WatchedSocket>,
) -> Connection<'a> {
    let end = |port| SocketAddr::from(([10, 0, 0, 1], port));
    Connection { source: end(5000), destination: end(80), asker, asked, listener }
}

#[test]
fn a_sender_knows_what_it_waits_for() {
    let window = TcpLook { busy: 0, receive_window_limited: ALL, ..sending() };
    assert_eq!(of_sender(window), (Limiter::ReceiverWindow, 1.0));
    let buffer = TcpLook { busy: 0, send_buffer_limited: ALL, ..sending() };
    assert_eq!(of_sender(buffer), (Limiter::SendBuffer, 1.0));
    let little = TcpLook { busy: ALL / 10, unsent: 0, ..sending() };
    assert_eq!(of_sender(little), (Limiter::Application, 0.9));
    assert_eq!(of_sender(sending()).0, Limiter::CongestionWindow);
}

/// TCP calls a sender busy as long as anything is on its way, also one that asks for little and waits.
#[test]
fn who_sends_little_at_a_time_is_not_held_by_the_congestion_window() {
    let look = TcpLook { unsent: 0, unacknowledged: 36, marks: 0, ..sending() };
    assert_eq!(of_sender(look), (Limiter::Application, 1.0));
    let half = TcpLook { busy: ALL / 2, ..look };
    assert_eq!(of_sender(half), (Limiter::Application, 1.0));
    let full = TcpLook { unacknowledged: 14_480, marks: TCP_WINDOW_LIMITED as u8, ..look };
    assert_eq!(of_sender(full).0, Limiter::CongestionWindow);
    let lossy = TcpLook { segments_retransmitted: 30, ..look };
    assert_eq!(of_sender(lossy), (Limiter::Loss, 1.0));
}

#[test]
fn losses_with_a_queue_are_those_of_a_narrow_link() {
    let lossy = TcpLook { segments_retransmitted: 30, ..sending() };
    assert_eq!(of_sender(lossy), (Limiter::Loss, 1.0));
    let queue = TcpLook { rtt: 400_000 * 8, ..lossy };
    assert_eq!(of_sender(queue).0, Limiter::NarrowLink);
    let paced = TcpLook { marks: 0, ..sending() };
    assert_eq!(of_sender(paced).0, Limiter::NarrowLink);
}

#[test]
fn a_receiver_knows_whether_it_reads() {
    let reading = TcpLook {
        state: ESTABLISHED,
        bytes_received: 1_000_000,
        segment_size: 1448,
        receive_window: 60_000,
        ..TcpLook::default()
    };
    let of = |last: TcpLook| {
        let asked = socket(TcpLook { bytes_received: 0, ..last }, last);
        judged(&connection(None, Some(&asked), None))
    };
    assert_eq!(of(reading), (Limiter::OtherEnd, 1.0));
    assert_eq!(
        of(TcpLook { unread: 200_000, receive_window: 0, ..reading }),
        (Limiter::ReceiverWindow, 0.95)
    );
    let asked = socket(TcpLook::default(), TcpLook { out_of_order: 100, ..reading });
    assert_eq!(judged(&connection(None, Some(&asked), None)).0, Limiter::Loss);
}

#[test]
fn what_has_not_begun_waits_for_a_reason() {
    let asking =
        socket(TcpLook::default(), TcpLook { state: SYN_SENT, retransmits: 2, ..TcpLook::default() });
    assert_eq!(judged(&connection(Some(&asking), None, None)), (Limiter::NoAnswer, 1.0));
    let fresh = WatchedSocket {
        first: None,
        last: TcpLook { state: SYN_SENT, ..TcpLook::default() },
        ..asking.clone()
    };
    assert_eq!(judged(&connection(Some(&fresh), None, None)), (Limiter::NoAnswer, 0.5));
    let full = TcpLook { state: LISTEN, accept_queue: 3, accept_queue_room: 2, ..TcpLook::default() };
    let listening = socket(full, full);
    let turned_away = connection(Some(&asking), None, Some(&listening));
    assert_eq!(judged(&turned_away), (Limiter::AcceptQueue, 1.0));
    let busy = TcpLook { state: LISTEN, syn_queue: 2, accept_queue_room: 2, ..TcpLook::default() };
    let listening = socket(busy, TcpLook { drops: 1, ..busy });
    let turned_away = connection(Some(&asking), None, Some(&listening));
    assert_eq!(judged(&turned_away), (Limiter::SynQueue, 1.0));
    let waiting = socket(
        TcpLook::default(),
        TcpLook { state: ESTABLISHED, marks: TCP_UNHELD as u8, ..TcpLook::default() },
    );
    assert_eq!(judged(&connection(None, Some(&waiting), None)), (Limiter::AcceptQueue, 1.0));
}

#[test]
fn nothing_to_do_is_the_applications() {
    let idle = TcpLook { state: ESTABLISHED, bytes_acknowledged: 5, ..TcpLook::default() };
    let asker = socket(idle, idle);
    let connection = connection(Some(&asker), None, None);
    assert_eq!(judged(&connection), (Limiter::Application, 1.0));
    assert!(Case::of(&connection, TICK, SECOND).is_idle());
}
