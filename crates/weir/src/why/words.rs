//! What limits a connection, in words, with the evidence.

use super::connection::CLOSE_WAIT;
use super::judge::{Case, Limiter, Side, allowed, queueing, resent, sparing};
use crate::text::{self, bytes, micros};
use std::time::Duration;
use weir_agent::WatchedSocket;
use weir_kernel::TCP_THROTTLED;
use weir_record::TcpFailure;

impl Limiter {
    /// The word for it, in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ReceiverWindow => "receiver_window",
            Self::SendBuffer => "send_buffer",
            Self::Loss => "loss",
            Self::NarrowLink => "narrow_link",
            Self::CongestionWindow => "congestion_window",
            Self::AcceptQueue => "accept_queue",
            Self::SynQueue => "syn_queue",
            Self::OtherEnd => "other_end",
            Self::NoAnswer => "no_answer",
            Self::Failure(failure) => failure.as_str(),
        }
    }

    /// The same for a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::Application => "sending application",
            Self::ReceiverWindow => "receiver's window",
            Self::SendBuffer => "send buffer",
            Self::Loss => "loss",
            Self::NarrowLink => "narrow link",
            Self::CongestionWindow => "congestion window",
            Self::AcceptQueue => "accept queue",
            Self::SynQueue => "SYN queue",
            Self::OtherEnd => "other end",
            Self::NoAnswer => "no answer",
            Self::Failure(TcpFailure::Refused) => "refused",
            Self::Failure(TcpFailure::TimedOut) => "timed out",
            Self::Failure(TcpFailure::Unreachable) => "unreachable",
            Self::Failure(TcpFailure::ResetInHandshake) => "reset in handshake",
            Self::Failure(TcpFailure::Reset) => "reset",
            Self::Failure(TcpFailure::Abandoned) => "given up",
            Self::Failure(TcpFailure::AcceptQueueFull) => "accept queue full",
            Self::Failure(TcpFailure::SynQueueFull) => "SYN queue full",
        }
    }

    /// What that means.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Application => "The sender has nothing more to send, or waits for an answer first.",
            Self::ReceiverWindow => "The receiver does not read as fast as data come.",
            Self::SendBuffer => "The sender's buffer holds less than the path could carry.",
            Self::Loss => "Segments are lost and have to be sent again.",
            Self::NarrowLink => "A link on the way carries no more: data wait in front of it.",
            Self::CongestionWindow => {
                "TCP lets no more be on its way at once: the path is long, or it is still trying."
            }
            Self::AcceptQueue => "The server does not accept what waits to be accepted.",
            Self::SynQueue => {
                "The server has as many handshakes under way as it wants to have, and sends no SYN cookies."
            }
            Self::OtherEnd => {
                "This end takes all that comes: the sender or the path gives no more. Ask there."
            }
            Self::NoAnswer => "Nobody answers.",
            Self::Failure(TcpFailure::Refused) => "A reset was the answer: nobody listens there.",
            Self::Failure(TcpFailure::TimedOut) => "There was no answer for too long.",
            Self::Failure(TcpFailure::Unreachable) => "There is no way to it.",
            Self::Failure(TcpFailure::ResetInHandshake) => "A reset came before anything was exchanged.",
            Self::Failure(TcpFailure::Reset) => "The other end broke it off with a reset.",
            Self::Failure(TcpFailure::Abandoned) => "The process gave up before there was an answer.",
            Self::Failure(TcpFailure::AcceptQueueFull) => {
                "The server has as many connections waiting as it wants to have."
            }
            Self::Failure(TcpFailure::SynQueueFull) => {
                "The server has as many handshakes under way as it wants to have."
            }
        }
    }
}

/// `0.97 s of 1.00 s`.
fn share(share: f64, seconds: f64) -> String {
    format!("{:.2} s of {seconds:.2} s", share * seconds)
}

/// Who has a socket.
pub fn who(socket: &WatchedSocket) -> Option<String> {
    let process = socket.holders.first()?.process.as_ref()?;
    Some(format!("{} ({})", process.command, process.pid))
}

impl Case<'_> {
    /// What speaks for this limit.
    pub fn evidence(&self, limiter: Limiter) -> Vec<String> {
        let (sender, receiver) = (self.sender.as_ref(), self.receiver.as_ref());
        let of_sender = |said: fn(&Side<'_>) -> Vec<String>| sender.map(said).unwrap_or_default();
        match limiter {
            Limiter::Application => application(sender, receiver),
            Limiter::ReceiverWindow => {
                let window = sender.map(receive_window);
                window.into_iter().chain(receiver.and_then(unread)).collect()
            }
            Limiter::SendBuffer => of_sender(send_buffer),
            Limiter::Loss => of_sender(loss).into_iter().chain(receiver.and_then(early)).collect(),
            Limiter::NarrowLink => of_sender(narrow_link),
            Limiter::CongestionWindow => of_sender(congestion_window),
            Limiter::OtherEnd => receiver.map(taken).into_iter().collect(),
            Limiter::NoAnswer => of_sender(|side| vec![asked(side.socket)]),
            Limiter::AcceptQueue | Limiter::SynQueue | Limiter::Failure(_) => Vec::new(),
        }
    }
}

fn application(sender: Option<&Side<'_>>, receiver: Option<&Side<'_>>) -> Vec<String> {
    let waits = |side: &&Side<'_>| side.socket.last.state == CLOSE_WAIT;
    let unclosed = sender.into_iter().chain(receiver).find(waits).map(|side| {
        let who = who(side.socket).unwrap_or_else(|| "nobody".into());
        format!("the other end has closed; {who} has not")
    });
    let idle = sender.map(|side| {
        let pace = &side.pace;
        format!("nothing waited to be sent for {}", share(1.0 - pace.busy, pace.seconds))
    });
    let little =
        sender.filter(|side| side.pace.acknowledged > 0 && sparing(side.socket) == 1.0).map(|side| {
            let last = &side.socket.last;
            let on_way = bytes(last.unacknowledged.into());
            format!(
                "at both looks nothing did; {on_way} are on their way, TCP would allow {}",
                bytes(allowed(last))
            )
        });
    let held = sender.and_then(|side| who(side.socket)).map(|who| format!("it is {who}"));
    idle.into_iter().chain(little).chain(unclosed).chain(held).collect()
}

fn receive_window(side: &Side<'_>) -> String {
    let (pace, last) = (&side.pace, &side.socket.last);
    let window = match last.send_window {
        0 => "it is closed now".into(),
        open => format!("it is {} now", bytes(open.into())),
    };
    let held = share(pace.receive_window_limited, pace.seconds);
    format!("took no more for {held}; {window}, {} wait", bytes(last.unsent.into()))
}

fn unread(side: &Side<'_>) -> Option<String> {
    let last = &side.socket.last;
    let who = who(side.socket).unwrap_or_else(|| "the receiver".into());
    (last.unread > 1).then(|| format!("{who} has {} unread", bytes(last.unread.into())))
}

fn send_buffer(side: &Side<'_>) -> Vec<String> {
    let last = &side.socket.last;
    let (room, on_way) = (bytes(last.send_buffer.into()), bytes(last.unacknowledged.into()));
    vec![
        format!("it has {room}; {on_way} are on their way, TCP would allow {}", bytes(allowed(last))),
        format!("{}: nothing more can leave until then", trips(side)),
    ]
}

fn loss(side: &Side<'_>) -> Vec<String> {
    let pace = &side.pace;
    let again = format!(
        "{} of {} segments sent again ({:.1} %)",
        pace.segments_retransmitted,
        pace.segments_sent,
        resent(pace) * 100.0
    );
    vec![again, format!("{}: no queue grows", trips(side))]
}

fn early(side: &Side<'_>) -> Option<String> {
    let early = side.pace.out_of_order;
    (early > 0).then(|| format!("{early} segments came before others that were missing"))
}

/// `a round trip takes 24.1 ms, 20.0 ms at best`.
fn trips(side: &Side<'_>) -> String {
    let last = &side.socket.last;
    let best =
        if last.min_rtt == u32::MAX { String::new() } else { format!(", {} at best", micros(last.min_rtt)) };
    format!("a round trip takes {}{best}", micros(last.rtt / 8))
}

fn narrow_link(side: &Side<'_>) -> Vec<String> {
    let (pace, last) = (&side.pace, &side.socket.last);
    let queue = match queueing(last) {
        queue if queue > 0.1 => format!("{}: {:.0} % of it in queues", trips(side), queue * 100.0),
        _ => trips(side),
    };
    let rate = text::bit_rate(pace.acknowledged, Duration::from_secs_f64(pace.seconds));
    let mut said = vec![queue, format!("{rate}bit/s arrive, {} wait to be sent", bytes(last.unsent.into()))];
    if u32::from(last.marks) & TCP_THROTTLED != 0 {
        said.push("they wait in the queue of an interface of this host".into());
    }
    said
}

fn congestion_window(side: &Side<'_>) -> Vec<String> {
    let last = &side.socket.last;
    vec![
        format!("it is {} segments, {}", last.congestion_window, bytes(allowed(last))),
        format!("{}, {} are on their way", trips(side), bytes(last.unacknowledged.into())),
    ]
}

fn taken(side: &Side<'_>) -> String {
    let (pace, last) = (&side.pace, &side.socket.last);
    let rate = text::bit_rate(pace.received, Duration::from_secs_f64(pace.seconds));
    format!(
        "{rate}bit/s came, {} are unread, the window is {}",
        bytes(last.unread.into()),
        bytes(last.receive_window.into())
    )
}

fn asked(socket: &WatchedSocket) -> String {
    match u32::from(socket.last.retransmits) + 1 {
        1 => "asked once".into(),
        times => format!("asked {times} times"),
    }
}

/// What is known of a socket that listens.
pub fn listener(socket: &WatchedSocket, drops: u32, seconds: f64) -> Vec<String> {
    let last = &socket.last;
    let who = who(socket).unwrap_or_else(|| "nobody".into());
    let mut said = vec![format!(
        "{who} has {} connections to accept, room is for {}",
        last.accept_queue,
        u64::from(last.accept_queue_room) + 1
    )];
    if last.syn_queue > 0 {
        said.push(format!(
            "{} handshakes are under way, room is for {}",
            last.syn_queue, last.accept_queue_room
        ));
    }
    if drops > 0 {
        said.push(format!("{drops} segments that ask for more were dropped in {seconds:.1} s"));
    } else if last.drops > 0 {
        said.push(format!("{} were dropped since it listens, none just now", last.drops));
    }
    said
}
