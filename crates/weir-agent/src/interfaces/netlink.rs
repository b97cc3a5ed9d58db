//! rtnetlink sockets: one to ask, one to listen.
//!
//! Every network namespace that is watched has a number in the agent's own (an nsid), and with
//! it one socket hears them all and asks for the links of any. So nothing of ours is open in
//! another namespace: a socket there would keep it alive when its container has gone.

use super::message::{Heard, Request, read};
use crate::netlink::DATAGRAM;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::RcvBufForce};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

// include/uapi/linux/rtnetlink.h
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_NSID: u32 = 28;
// include/uapi/linux/netlink.h
const SOL_NETLINK: i32 = 270;
const NETLINK_LISTEN_ALL_NSID: i32 = 8;

/// Some thousands of notifications: what comes in a glance when containers start by the hundred.
const BACKLOG: usize = 8 << 20;
/// A dump that is overtaken by changes is asked for anew this often; what it lacks then will be notified.
const DUMPS: u32 = 10;

/// Asks, and waits for the answer.
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Without it a dump of addresses does not mind the namespace that is asked for.
        socket.set_netlink_get_strict_chk(true)?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; DATAGRAM] })
    }

    /// All links of the namespace with this number, or of our own, and their addresses if they are wanted.
    pub(super) fn dump(&mut self, nsid: Option<i32>, addresses: bool) -> io::Result<Vec<Heard>> {
        let mut heard = self.dump_one(|| Request::links(nsid))?;
        if addresses {
            heard.extend(self.dump_one(|| Request::addresses(nsid))?);
        }
        Ok(heard)
    }

    /// One link of the namespace with this number.
    pub(super) fn link(&mut self, nsid: i32, index: u32) -> io::Result<Vec<Heard>> {
        self.ask(Request::link(nsid, index))
    }

    fn dump_one(&mut self, request: impl Fn() -> Request) -> io::Result<Vec<Heard>> {
        let mut heard = Vec::new();
        for _ in 0..DUMPS {
            heard = self.ask(request())?;
            if !heard.contains(&Heard::Interrupted) {
                break;
            }
        }
        Ok(heard)
    }

    /// The number of a network namespace; it gets one where it has none and `give` says so.
    pub(super) fn nsid(&mut self, netns: BorrowedFd<'_>, give: bool) -> io::Result<Option<i32>> {
        let mut known = self.ask(Request::nsid(netns.as_raw_fd()))?;
        if give && !known.iter().any(|heard| matches!(heard, Heard::Namespace(Some(_)))) {
            match self.ask(Request::new_nsid(netns.as_raw_fd())) {
                // Somebody else was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => drop(outcome?),
            }
            known = self.ask(Request::nsid(netns.as_raw_fd()))?;
        }
        Ok(known.into_iter().find_map(|heard| match heard {
            Heard::Namespace(nsid) => nsid,
            _ => None,
        }))
    }

    fn ask(&mut self, request: Request) -> io::Result<Vec<Heard>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&request.bytes(self.sequence), 0)?;
        let (mut heard, mut done) = (Vec::new(), None);
        while done.is_none() {
            let length = self.socket.recv(&mut &mut self.buffer[..], 0)?;
            read(&self.buffer[..length.min(DATAGRAM)], Some(self.sequence), |one| match one {
                Heard::Done(error) => done = Some(error),
                one => heard.push(one),
            });
        }
        match done {
            Some(0) | None => Ok(heard),
            Some(error) => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// What came with the notifications of one turn.
pub(super) enum Notice {
    /// In the namespace with this number, or in our own.
    Heard(Option<i32>, Heard),
    /// The kernel had no room for some: nothing that was known is certain any more.
    Lost,
}

/// Listens.
pub(super) struct Notifications {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Notifications {
    /// Of links in our own network namespace, or in every one that has a number.
    pub(super) fn open(every_netns: bool) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // Needs CAP_NET_ADMIN, as attaching does; with a smaller one there are more dumps.
        let _ = setsockopt(&socket, RcvBufForce, &BACKLOG);
        socket.set_non_blocking(true)?;
        if every_netns {
            socket.set_listen_all_namespaces(true)?;
            socket.add_membership(RTNLGRP_NSID)?;
        }
        socket.add_membership(RTNLGRP_LINK)?;
        Ok(Self { socket, buffer: vec![0; DATAGRAM] })
    }

    /// Also of addresses.
    pub(super) fn add_addresses(&self) -> io::Result<()> {
        self.socket.add_membership(RTNLGRP_IPV4_IFADDR)?;
        self.socket.add_membership(RTNLGRP_IPV6_IFADDR)
    }

    /// So little room that some are lost.
    #[cfg(test)]
    pub(super) fn starve(&self) {
        setsockopt(&self.socket, RcvBufForce, &2048).expect("these tests need root");
    }

    /// The next datagram, where there is one.
    pub(super) fn next(&mut self, notices: &mut Vec<Notice>) -> io::Result<bool> {
        let mut space = nix::cmsg_space!(i32);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let received =
            recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty());
        let (nsid, length) = match received {
            Ok(message) if message.flags.contains(MsgFlags::MSG_TRUNC) => {
                notices.push(Notice::Lost);
                return Ok(true);
            }
            Ok(message) => (message.cmsgs()?.find_map(|part| nsid(&part)), message.bytes),
            Err(Errno::ENOBUFS) => {
                notices.push(Notice::Lost);
                return Ok(true);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        read(&self.buffer[..length], None, |heard| notices.push(Notice::Heard(nsid, heard)));
        Ok(true)
    }
}

fn nsid(part: &ControlMessageOwned) -> Option<i32> {
    let ControlMessageOwned::Unknown(part) = part else { return None };
    let header = part.cmsg_header;
    let is_nsid = (header.cmsg_level, header.cmsg_type) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID);
    is_nsid.then(|| part.data_bytes.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)))?
}
