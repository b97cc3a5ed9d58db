//! A socket to sock_diag, for the moment in which everything is asked for.

use super::message::{AF_INET, AF_INET6, Heard, Listed, TCP, UDP, read, request};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::io;
use std::os::fd::AsRawFd;

/// The kernel puts no more into a datagram of a dump.
const DATAGRAM: usize = 64 * 1024;

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

fn ask(socket: &Socket, family: u8, protocol: u8, listed: &mut Vec<Listed>) -> io::Result<()> {
    socket.send(&request(family, protocol), 0)?;
    let mut buffer = vec![0; DATAGRAM];
    let mut done = None;
    while done.is_none() {
        let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            length => length?,
        };
        read(&buffer[..length], protocol, |heard| match heard {
            Heard::Socket(socket) => listed.push(socket),
            Heard::Done(error) => done = Some(error),
        });
    }
    match done {
        Some(error @ 1..) => Err(io::Error::from_raw_os_error(error)),
        _ => Ok(()),
    }
}
