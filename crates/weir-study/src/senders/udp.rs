//! UDP sockets and `sendmmsg()`: the way of ordinary programs.

use super::{Done, Generator, Walk, Windows};
use crate::traffic::{STAMP, Step, ports};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{BindToDevice, ReusePort};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, setsockopt};
use std::collections::HashMap;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// Packets handed to the kernel at a time.
const BATCH: u64 = 64;
/// Bytes of a frame before the payload.
const HEADERS: [usize; 2] = [14 + 20 + 8, 14 + 40 + 8];
/// As much as follows a stamp.
static PADDING: [u8; 1514] = [0; 1514];

/// Sockets, one for each source port and family that has come up.
pub struct Udp {
    walk: Walk,
    destination: (Ipv4Addr, Ipv6Addr),
    sockets: HashMap<(u16, bool), UdpSocket>,
    interface: Option<String>,
}

impl Udp {
    /// To be made inside the network namespace that packets come from.
    pub fn new(walk: Walk, destination: (Ipv4Addr, Ipv6Addr)) -> Self {
        Self { walk, destination, sockets: HashMap::new(), interface: None }
    }

    /// Whatever the routes say.
    pub fn only_through(self, interface: &str) -> Self {
        Self { interface: Some(interface.into()), ..self }
    }

    /// The next packets that one socket can send.
    fn batch(&mut self, most: u64) -> Result<u64> {
        let first = self.walk.peek(0).0;
        let of_one_socket = |step: &Step| socket_of(step) == socket_of(&first);
        let packets: Vec<_> = (0..most.min(BATCH))
            .map(|ahead| self.walk.peek(ahead))
            .take_while(|(step, _)| of_one_socket(step))
            .collect();
        let addresses: Vec<_> =
            packets.iter().map(|(step, _)| Some(SockaddrStorage::from(self.address(step)))).collect();
        let payloads: Vec<_> = packets
            .iter()
            .map(|(step, stamp)| {
                let rest = usize::from(step.length).saturating_sub(HEADERS[usize::from(step.ipv6)] + STAMP);
                [IoSlice::new(stamp), IoSlice::new(&PADDING[..rest])]
            })
            .collect();
        let mut headers = MultiHeaders::preallocate(packets.len(), None);
        let socket = self.socket(&first)?;
        let sent = sendmmsg(socket, &mut headers, &payloads, &addresses, [], MsgFlags::empty());
        match sent {
            Ok(results) => Ok(results.count() as u64),
            // A full queue on a real link: what was not sent is sent next.
            Err(Errno::ENOBUFS) => Ok(0),
            Err(error) => Err(error).context("cannot send"),
        }
    }

    fn address(&self, step: &Step) -> SocketAddr {
        let port = ports::of(step.flow).1;
        match step.ipv6 {
            true => SocketAddr::new(self.destination.1.into(), port),
            false => SocketAddr::new(self.destination.0.into(), port),
        }
    }

    fn socket(&mut self, step: &Step) -> Result<i32> {
        let key = socket_of(step);
        if let Some(socket) = self.sockets.get(&key) {
            return Ok(socket.as_raw_fd());
        }
        let any: IpAddr = if step.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = bind(SocketAddr::new(any, key.0))?;
        if let Some(interface) = &self.interface {
            setsockopt(&socket, BindToDevice, &interface.into())
                .with_context(|| format!("cannot send through {interface}"))?;
        }
        let descriptor = socket.as_raw_fd();
        self.sockets.insert(key, socket);
        Ok(descriptor)
    }
}

fn socket_of(step: &Step) -> (u16, bool) {
    (ports::of(step.flow).0, step.ipv6)
}

/// Several senders may send the same flow.
fn bind(address: SocketAddr) -> Result<UdpSocket> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, bind, socket};
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let made =
        socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).context("no socket to send from")?;
    setsockopt(&made, ReusePort, &true)?;
    bind(made.as_raw_fd(), &SockaddrStorage::from(address))
        .with_context(|| format!("cannot send from UDP port {}", address.port()))?;
    Ok(made.into())
}

impl Generator for Udp {
    fn send(&mut self, count: u32) -> Result<Done> {
        let start = Instant::now();
        let (mut sent, mut windows) = (0, Windows::default());
        windows.reach(self.walk.number());
        while sent < u64::from(count) {
            let left = Windows::left(self.walk.number());
            let batch = self.batch(left.min(u64::from(count) - sent))?;
            if batch == 0 {
                std::thread::yield_now();
                break;
            }
            self.walk.advance(batch);
            sent += batch;
            windows.reach(self.walk.number());
        }
        Ok(Done { packets: sent, time: start.elapsed(), windows: windows.pairs() })
    }
}
