//! Sockets to conntrack: one that listens, and one for the moment in which everything is asked for.

use super::message::{
    DESTINATION_TRANSLATED, FAMILY_HEADER, Heard, SOURCE_TRANSLATED, STATUS, read, request,
};
use crate::conversations::Tuples;
use crate::netlink::{self, DATAGRAM, HEADER};
use hashbrown::HashSet;
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt::RcvBufForce};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use weir_kernel::{Instruction, filter_socket, socket_drops};

// include/uapi/linux/netfilter/nfnetlink.h
const NFNLGRP_CONNTRACK_NEW: u32 = 1;
const NFNLGRP_CONNTRACK_DESTROY: u32 = 3;
/// Some ten thousand events: what comes while the agent is busy with a drain.
const BACKLOG: usize = 16 << 20;

/// The status of an event's connection is looked for, and the event dropped where no address is translated.
fn translated_only() -> [Instruction; 9] {
    /// SKF_AD_OFF + SKF_AD_NLATTR: the place of the attribute of type X, from A on.
    const ATTRIBUTE: u32 = 0xffff_f00c;
    const START: u32 = (HEADER + FAMILY_HEADER) as u32;
    let step = |code, if_true, if_false, operand| Instruction { code, if_true, if_false, operand };
    [
        step(0x00, 0, 0, START),         // A = START
        step(0x01, 0, 0, STATUS.into()), // X = STATUS
        step(0x30, 0, 0, ATTRIBUTE),     // A = its place, or 0
        step(0x15, 3, 0, 0),             // none: take it
        step(0x07, 0, 0, 0),             // X = A
        step(0x40, 0, 0, 4),             // A = the status, behind the attribute's header
        step(0x45, 0, 1, SOURCE_TRANSLATED | DESTINATION_TRANSLATED),
        step(0x06, 0, 0, u32::MAX), // take it
        step(0x06, 0, 0, 0),        // drop it
    ]
}

/// Listens in the network namespace that it was opened in, and keeps it alive.
pub(super) struct Listener {
    socket: Socket,
    buffer: Vec<u8>,
    /// What there was no room for until it was last asked for.
    dropped: u32,
}

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// A datagram: one event.
    Some,
    /// Nothing is there.
    Nothing,
    /// The kernel had no room for some.
    Lost,
}

impl Listener {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        // With a smaller one there are more dumps.
        let _ = setsockopt(&socket, RcvBufForce, &BACKLOG);
        filter_socket(socket.as_fd(), &translated_only()).map_err(io::Error::other)?;
        socket.add_membership(NFNLGRP_CONNTRACK_NEW)?;
        socket.add_membership(NFNLGRP_CONNTRACK_DESTROY)?;
        Ok(Self { socket, buffer: vec![0; DATAGRAM], dropped: 0 })
    }

    /// So little room that some are lost.
    #[cfg(test)]
    pub(super) fn starve(&self) {
        setsockopt(&self.socket, RcvBufForce, &2048).expect("these tests need root");
    }

    /// Events that there was no room for since the last time.
    pub(super) fn dropped(&mut self) -> u64 {
        let dropped = socket_drops(self.socket.as_fd()).unwrap_or(self.dropped);
        u64::from(dropped.wrapping_sub(std::mem::replace(&mut self.dropped, dropped)))
    }

    /// The next datagram, where there is one.
    pub(super) fn next(&mut self, hear: impl FnMut(Heard)) -> io::Result<Look> {
        match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                read(&self.buffer[..length], hear);
                Ok(Look::Some)
            }
            Err(Errno::ENOBUFS) => Ok(Look::Lost),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Look::Nothing),
            Err(error) => Err(error.into()),
        }
    }
}

/// All translated connections of the thread's network namespace.
pub(super) fn dump() -> io::Result<HashSet<Tuples>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    let mut all = HashSet::new();
    for status in [SOURCE_TRANSLATED, DESTINATION_TRANSLATED] {
        netlink::dump(&socket, &request(status), |datagram| {
            let mut done = None;
            read(datagram, |heard| match heard {
                Heard::Translated(tuples) => drop(all.insert(tuples)),
                Heard::Ended(_) => {}
                Heard::Done(error) => done = Some(error),
            });
            done
        })?;
    }
    Ok(all)
}
