//! A socket to sock_diag, for the moment in which everything is asked for.

use super::message::{AF_INET, AF_INET6, Heard, Listed, TCP, UDP, read, request, request_for};
use crate::netlink;
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};
use std::io;
use std::net::SocketAddr;

/// What is asked for, and the module of the kernel that answers.
const KINDS: [(u8, &str); 2] = [(TCP, "tcp_diag"), (UDP, "udp_diag")];

/// All sockets of the thread's network namespace, and the modules that are missing to tell of others.
pub(super) fn dump() -> io::Result<(Vec<Listed>, Vec<&'static str>)> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    let (mut listed, mut missing) = (Vec::new(), Vec::new());
    for (protocol, module) in KINDS {
        for family in [AF_INET, AF_INET6] {
            match ask(&socket, family, protocol, &mut listed) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(module),
                outcome => outcome?,
            }
        }
    }
    missing.dedup();
    Ok((listed, missing))
}

/// The user whose connection of TCP goes from the first end to the second one, in the thread's network namespace; none
/// where there is no such connection any more.
///
/// # Errors
/// The kernel does not tell (it has no `tcp_diag`).
pub fn owner(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u32>> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    // The answer is there when the question has been put.
    socket.set_non_blocking(true)?;
    // Where the connection is gone the kernel looks for a socket that listens instead.
    let ends = |one: &Listed| one.remote == Some(canonical(remote)) && one.local == canonical(local);
    let mut user = None;
    let asked = netlink::dump(&socket, &request_for(local, remote), |datagram| {
        let mut done = None;
        read(datagram, TCP, |heard| match heard {
            Heard::Socket(found) => {
                user = found.file.map(|(_, user)| user).filter(|_| ends(&found));
                done = Some(0);
            }
            Heard::Done(error) => done = Some(error),
        });
        done
    });
    match asked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        asked => asked.map(|()| user),
    }
}

/// As sockets are listed.
fn canonical(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

fn ask(socket: &Socket, family: u8, protocol: u8, listed: &mut Vec<Listed>) -> io::Result<()> {
    netlink::dump(socket, &request(family, protocol), |datagram| {
        let mut done = None;
        read(datagram, protocol, |heard| match heard {
            Heard::Socket(socket) => listed.push(socket),
            Heard::Done(error) => done = Some(error),
        });
        done
    })
}
