//! Sockets put together to connections: where both ends are here, both are heard.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use weir_agent::{Watched, WatchedSocket};
use weir_kernel::TcpLook;
use weir_record::{Addresses, Direction, End, FlowKey, FlowRecord, Interface, InterfaceKind};

// include/net/tcp_states.h
pub const ESTABLISHED: u8 = 1;
pub const SYN_SENT: u8 = 2;
pub const CLOSE_WAIT: u8 = 8;
pub const LISTEN: u8 = 10;

const TCP: u8 = 6;

/// A connection, as far as its ends are here.
#[derive(Debug, Clone)]
pub struct Connection<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// The end that asked for it.
    pub asker: Option<&'a WatchedSocket>,
    /// The end that was asked.
    pub asked: Option<&'a WatchedSocket>,
    /// The socket that listens where it was asked for.
    pub listener: Option<&'a WatchedSocket>,
}

impl<'a> Connection<'a> {
    /// All of them.
    pub fn all(watched: &'a Watched) -> Vec<Self> {
        let (listening, talking): (Vec<_>, Vec<_>) =
            watched.sockets.iter().partition(|socket| socket.last.state == LISTEN);
        let open = talking.into_iter().filter(|socket| socket.remote.port() != 0);
        let mut by_ends: HashMap<_, Vec<&WatchedSocket>> = HashMap::new();
        let open: Vec<_> = open
            .inspect(|socket| by_ends.entry((socket.local, socket.remote)).or_default().push(socket))
            .collect();
        // Of several namespaces that use the same addresses it is not known who talks to whom.
        let only = |ends: &(SocketAddr, SocketAddr)| match by_ends.get(ends).map(Vec::as_slice) {
            Some([one]) => Some(*one),
            _ => None,
        };
        let mut all = Vec::new();
        for socket in open {
            let other =
                only(&(socket.local, socket.remote)).and_then(|_| only(&(socket.remote, socket.local)));
            let listener = |at: SocketAddr, of: Option<&WatchedSocket>| {
                listening.iter().copied().find(|one| serves(one, at, of, watched))
            };
            let was_asked = listener(socket.local, Some(socket)).is_some()
                || listener(socket.remote, other).is_none() && socket.local.port() < socket.remote.port();
            let (asker, asked) = if was_asked { (other, Some(socket)) } else { (Some(socket), other) };
            // Of two ends the one that asked tells.
            if was_asked && other.is_some() {
                continue;
            }
            let (source, destination) =
                if was_asked { (socket.remote, socket.local) } else { (socket.local, socket.remote) };
            let listener = listener(destination, asked);
            all.push(Self { source, destination, asker, asked, listener });
        }
        all
    }

    /// The ends that are here.
    pub fn sides(&self) -> impl Iterator<Item = &'a WatchedSocket> {
        self.asker.into_iter().chain(self.asked)
    }

    /// Who and where, in the words of records.
    pub fn flow(&self) -> FlowRecord {
        let netns = self.sides().next().map_or_else(|| (Arc::from(""), true), |side| side.netns.clone());
        let mut flow = flow(netns, self.source, self.destination);
        flow.source = self.asker.map(end).unwrap_or_default();
        flow.destination = self.asked.map(end).unwrap_or_default();
        flow
    }
}

/// Whether `one` takes connections for `at`: in the namespace of that end, if it is here; else in any, if the address
/// is one of theirs.
fn serves(one: &WatchedSocket, at: SocketAddr, end: Option<&WatchedSocket>, watched: &Watched) -> bool {
    let fits = one.local == at || one.local.ip().is_unspecified() && one.local.port() == at.port();
    let is_here = || at.ip().is_loopback() || watched.addresses.contains(&at.ip());
    fits && end.map_or_else(is_here, |end| end.netns == one.netns)
}

/// What is known of an end.
pub fn end(socket: &WatchedSocket) -> End {
    let who = socket.holders.first().map(|end| End::clone(end)).unwrap_or_default();
    End { tcp: Some(Arc::new(socket.health.clone())), ..who }
}

/// A record of nothing but who and where.
pub fn flow((netns, own_netns): (Arc<str>, bool), from: SocketAddr, to: SocketAddr) -> FlowRecord {
    let interface = Interface { name: String::new(), index: 0, netns, own_netns, kind: InterfaceKind::Other };
    let v6 = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let addresses = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => Addresses::V4(from, to),
        (from, to) => Addresses::V6(v6(from), v6(to)),
    };
    let key = FlowKey::Ip { vlan: None, addresses, protocol: TCP, ports: Some((from.port(), to.port())) };
    FlowRecord::blank(Arc::new(interface), Direction::Egress, key)
}

/// What happened between the two looks at an end. Shares are of that time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    pub seconds: f64,
    /// There was something to send or on its way.
    pub busy: f64,
    pub receive_window_limited: f64,
    pub send_buffer_limited: f64,
    pub acknowledged: u64,
    pub received: u64,
    pub segments_sent: u32,
    pub segments_retransmitted: u32,
    pub out_of_order: u32,
    pub drops: u32,
}

impl Pace {
    /// Of this socket, where one that has come since began from nothing, at most `interval` ago.
    pub fn of(socket: &WatchedSocket, tick: Duration, interval: Duration) -> Self {
        let nothing = TcpLook {
            time: socket.last.time.saturating_sub(interval.as_nanos() as u64),
            drops: socket.last.drops,
            ..TcpLook::default()
        };
        let (first, last) = (socket.first.unwrap_or(nothing), socket.last);
        let seconds = (last.time.saturating_sub(first.time) as f64 / 1e9).max(1e-3);
        let share =
            |from: u32, to: u32| (f64::from(to.wrapping_sub(from)) * tick.as_secs_f64() / seconds).min(1.0);
        let receive = share(first.receive_window_limited, last.receive_window_limited);
        let send = share(first.send_buffer_limited, last.send_buffer_limited);
        Self {
            seconds,
            busy: (share(first.busy, last.busy) + receive + send).min(1.0),
            receive_window_limited: receive,
            send_buffer_limited: send,
            acknowledged: last.bytes_acknowledged.saturating_sub(first.bytes_acknowledged),
            received: last.bytes_received.saturating_sub(first.bytes_received),
            segments_sent: last.segments_sent.wrapping_sub(first.segments_sent),
            segments_retransmitted: last.segments_retransmitted.wrapping_sub(first.segments_retransmitted),
            out_of_order: last.out_of_order.wrapping_sub(first.out_of_order),
            drops: last.drops.wrapping_sub(first.drops),
        }
    }
}
