//! What limits a connection, from two looks at its ends. Nothing but arithmetic.
//!
//! TCP itself keeps how long a sender was busy, and how long of that it waited for the other end's window, or for
//! more than its send buffer holds. What is left of the busy time is the path's: there losses, a queue that grows in
//! front of a narrow link, and the congestion window share it.

use super::connection::{CLOSE_WAIT, Connection, ESTABLISHED, Pace, SYN_SENT};
use std::time::Duration;
use weir_agent::{WatchedSocket, turned_away};
use weir_kernel::{TCP_UNHELD, TCP_WINDOW_LIMITED, TcpLook};
use weir_record::TcpFailure;

/// What can limit a connection, or keep it from being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limiter {
    Application,
    ReceiverWindow,
    SendBuffer,
    Loss,
    NarrowLink,
    CongestionWindow,
    AcceptQueue,
    SynQueue,
    /// Only the end that receives is here, and it takes all that comes.
    OtherEnd,
    NoAnswer,
    Failure(TcpFailure),
}

/// One of them, and how sure it is that it is this one.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub limiter: Limiter,
    pub confidence: f64,
}

/// An end, with what it did between the looks.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub socket: &'a WatchedSocket,
    pub pace: Pace,
}

/// The whole case: who sends, who receives, and what that comes to.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    pub sender: Option<Side<'a>>,
    pub receiver: Option<Side<'a>>,
    /// The most likely first; never empty.
    pub limits: Vec<Limit>,
}

/// A share of segments that is sent again at which loss alone decides how fast it goes.
const LOSSY: f64 = 0.01;
/// Round-trip times vary by so much on any machine.
const JITTER_MICROS: f64 = 2_000.0;
/// Less is not worth a line.
const LEAST: f64 = 0.01;

impl<'a> Case<'a> {
    /// Of a connection that was looked at for `interval`.
    pub fn of(connection: &Connection<'a>, tick: Duration, interval: Duration) -> Self {
        let side = |socket| Side { socket, pace: Pace::of(socket, tick, interval) };
        let (asker, asked) = (connection.asker.map(side), connection.asked.map(side));
        let moved = |side: &Option<Side<'_>>| side.map_or(0, |side| sent(&side));
        let got = |side: &Option<Side<'_>>| side.map_or(0, |side| side.pace.received);
        // Of an end that is not here the other one tells: what it received was sent.
        let forth = moved(&asker).max(got(&asked));
        let back = moved(&asked).max(got(&asker));
        let (sender, receiver) = if back > forth { (asked, asker) } else { (asker, asked) };
        let mut limits = waiting(connection, interval).unwrap_or_else(|| match (&sender, &receiver) {
            _ if forth.max(back) == 0 => vec![sure(Limiter::Application)],
            (Some(sender), receiver) => by_sender(sender, receiver.as_ref()),
            (None, Some(receiver)) => by_receiver(receiver),
            (None, None) => vec![sure(Limiter::Application)],
        });
        limits.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        let best = limits.first().cloned();
        limits.retain(|limit| limit.confidence >= LEAST);
        if limits.is_empty() {
            limits.extend(best);
        }
        Self { sender, receiver, limits }
    }

    /// Whether anything wants to move at all.
    pub fn is_idle(&self) -> bool {
        let sides = || self.sender.iter().chain(&self.receiver);
        self.limits[0].limiter == Limiter::Application
            && sides().all(|side| sent(side) == 0 && side.pace.received == 0)
    }
}

fn sure(limiter: Limiter) -> Limit {
    Limit { limiter, confidence: 1.0 }
}

/// What an end sends, or wants to.
fn sent(side: &Side<'_>) -> u64 {
    let last = &side.socket.last;
    side.pace.acknowledged
        + u64::from(waiting_bytes(last.unsent))
        + u64::from(waiting_bytes(last.unacknowledged))
}

/// A FIN and a SYN count as a byte, which nobody waits for.
fn waiting_bytes(bytes: u32) -> u32 {
    if bytes > 1 { bytes } else { 0 }
}

/// Which queue of a socket that listens has no room for who comes.
pub fn overrun(listener: &WatchedSocket, drops: u32) -> Option<Limiter> {
    match turned_away(&listener.last, drops > 0)? {
        TcpFailure::SynQueueFull => Some(Limiter::SynQueue),
        _ => Some(Limiter::AcceptQueue),
    }
}

/// One that has not begun yet.
fn waiting(connection: &Connection<'_>, interval: Duration) -> Option<Vec<Limit>> {
    let unheld = |socket: &WatchedSocket| {
        [ESTABLISHED, CLOSE_WAIT].contains(&socket.last.state)
            && u32::from(socket.last.marks) & TCP_UNHELD != 0
    };
    let overrun = connection
        .listener
        .and_then(|listener| overrun(listener, Pace::of(listener, Duration::ZERO, interval).drops));
    if connection.asked.is_some_and(unheld) {
        return Some(vec![sure(Limiter::AcceptQueue)]);
    }
    let asker = connection.asker?;
    match asker.last.state {
        SYN_SENT => Some(vec![overrun.map_or_else(|| unanswered(asker), sure)]),
        // It believes to be connected; the last segment of the handshake was dropped where the queue is full.
        ESTABLISHED if connection.asked.is_none() => overrun.map(|limiter| vec![sure(limiter)]),
        _ => None,
    }
}

/// One that has only just asked may be answered yet.
fn unanswered(asker: &WatchedSocket) -> Limit {
    Limit { limiter: Limiter::NoAnswer, confidence: if has_just_asked(asker) { 0.5 } else { 1.0 } }
}

/// Whether its SYN went out once, since the first look.
pub fn has_just_asked(socket: &WatchedSocket) -> bool {
    socket.last.state == SYN_SENT && socket.first.is_none() && socket.last.retransmits == 0
}

fn by_sender(sender: &Side<'_>, receiver: Option<&Side<'_>>) -> Vec<Limit> {
    let (pace, last) = (&sender.pace, &sender.socket.last);
    // A window that is closed is the receiver's doing, also while no more than a probe is on its way.
    let is_closed = waiting_bytes(last.unsent) > 0 && last.send_window < last.segment_size.max(1);
    let is_unread = receiver.is_some_and(|side| side.socket.last.unread > side.socket.last.receive_window);
    let mut receive = pace.receive_window_limited;
    if is_closed && is_unread {
        receive = receive.max(0.9);
    }
    let measured = pace.send_buffer_limited.min(1.0 - receive);
    let rest = (pace.busy - receive - measured).max(0.0);
    // TCP's own clock of it does not run where one write fills the buffer.
    let send = measured + rest * crowded(sender.socket);
    let path = (pace.busy - receive - send).max(0.0);
    let loss = (resent(pace) / LOSSY).min(1.0) * (1.0 - queueing(last));
    let narrow = narrowness(last, loss);
    // Of the time in which something was on its way, too, it is the sender's own doing that it was no more.
    let free = path * (1.0 - loss) * (1.0 - narrow);
    let little = free * sparing(sender.socket);
    vec![
        Limit { limiter: Limiter::ReceiverWindow, confidence: receive },
        Limit { limiter: Limiter::SendBuffer, confidence: send },
        Limit { limiter: Limiter::Loss, confidence: path * loss },
        Limit { limiter: Limiter::NarrowLink, confidence: path * (1.0 - loss) * narrow },
        Limit { limiter: Limiter::CongestionWindow, confidence: free - little },
        Limit { limiter: Limiter::Application, confidence: (1.0 - receive - send - path).max(0.0) + little },
    ]
}

/// In how many of the looks the send buffer was as good as full, although more could have been on its way. Who waits
/// for room is woken when a third of it is free.
fn crowded(socket: &WatchedSocket) -> f64 {
    in_looks(socket, |look| is_sparing(look) && look.send_memory >= look.send_buffer / 3 * 2)
}

/// In how many of the looks the sender had given all it has, and more could have been on its way.
pub fn sparing(socket: &WatchedSocket) -> f64 {
    in_looks(socket, is_sparing)
}

/// Who asks and waits for the answer before it asks again is always busy and never held back.
fn is_sparing(look: &TcpLook) -> bool {
    waiting_bytes(look.unsent) == 0 && u64::from(look.unacknowledged) < allowed(look)
}

/// How many bytes the congestion window lets be on their way.
pub fn allowed(look: &TcpLook) -> u64 {
    u64::from(look.congestion_window) * u64::from(look.segment_size)
}

fn in_looks(socket: &WatchedSocket, is_so: impl Fn(&TcpLook) -> bool) -> f64 {
    let looks = || socket.first.iter().chain([&socket.last]);
    looks().filter(|look| is_so(look)).count() as f64 / looks().count() as f64
}

/// The share of segments that were sent again.
pub fn resent(pace: &Pace) -> f64 {
    f64::from(pace.segments_retransmitted)
        / f64::from(pace.segments_sent.max(pace.segments_retransmitted).max(1))
}

/// The share of the round-trip time that is spent in queues: what it is longer than the shortest one.
pub fn queueing(look: &TcpLook) -> f64 {
    let (rtt, least) = (f64::from(look.rtt) / 8.0, f64::from(look.min_rtt));
    if look.min_rtt == u32::MAX || rtt <= 0.0 { 0.0 } else { ((rtt - least - JITTER_MICROS) / rtt).max(0.0) }
}

/// How much speaks for a narrow link: a queue in front of it; or a sender that has more to send, lost nothing, and is
/// not held back by its congestion window, but by the pace at which its data leave.
fn narrowness(look: &TcpLook, loss: f64) -> f64 {
    let is_paced = waiting_bytes(look.unsent) > 0 && u32::from(look.marks) & TCP_WINDOW_LIMITED == 0;
    if is_paced { queueing(look).max(0.8 * (1.0 - loss)) } else { queueing(look).sqrt() }
}

/// The other end is not here: this one knows whether it reads, and whether something is missing.
fn by_receiver(receiver: &Side<'_>) -> Vec<Limit> {
    let (pace, last) = (&receiver.pace, &receiver.socket.last);
    let was_unread = receiver.socket.first.is_some_and(|first| first.unread > first.receive_window);
    let is_unread = last.unread > last.receive_window;
    let reader = match (was_unread, is_unread) {
        (true, true) => 0.95,
        (true, false) | (false, true) => 0.6,
        (false, false) => 0.0,
    };
    let segments = pace.received as f64 / f64::from(last.segment_size.max(1));
    let loss = (f64::from(pace.out_of_order) / segments.max(1.0) / LOSSY).min(0.8) * (1.0 - reader);
    vec![
        Limit { limiter: Limiter::ReceiverWindow, confidence: reader },
        Limit { limiter: Limiter::Loss, confidence: loss },
        Limit { limiter: Limiter::OtherEnd, confidence: 1.0 - reader - loss },
    ]
}

#[cfg(test)]
mod tests;
