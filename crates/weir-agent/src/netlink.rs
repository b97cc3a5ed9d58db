//! What all of netlink's families have in common: how messages lie in a datagram, and how a dump ends.

use netlink_packet_core::{NetlinkBuffer, NlaBuffer, NlasIterator};
use netlink_sys::Socket;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::io;
use std::os::fd::AsRawFd;

/// Of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// The kernel puts no more into a datagram.
pub(crate) const DATAGRAM: usize = 64 * 1024;

/// The messages in a datagram, as far as they are whole.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(datagram).ok()?;
        let length = (message.length() as usize).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes behind the first `header` bytes of a payload, as far as they are whole.
pub(crate) fn attributes(payload: &[u8], header: usize) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(payload.get(header..).unwrap_or_default()).map_while(Result::ok)
}

/// The number of the error in an NLMSG_ERROR or NLMSG_DONE; 0 where there is none.
pub(crate) fn error(payload: &[u8]) -> i32 {
    payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes).saturating_neg())
}

/// Asks, and hands each datagram of the answer to `read` until that says how it ended.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn dump(
    socket: &Socket,
    request: &[u8],
    mut read: impl FnMut(&[u8]) -> Option<i32>,
) -> io::Result<()> {
    socket.send(request, 0)?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            length => length?,
        };
        match read(&buffer[..length]) {
            Some(error @ 1..) => return Err(io::Error::from_raw_os_error(error)),
            Some(_) => return Ok(()),
            None => {}
        }
    }
}
