//! What a socket had no room for.

use crate::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// include/uapi/asm-generic/socket.h
const SO_MEMINFO: libc::c_int = 55;
/// As many numbers as SO_MEMINFO has, of which this one is the last (Linux 4.12).
const NUMBERS: usize = libc::SK_MEMINFO_DROPS as usize + 1;

/// Messages that the kernel had for the socket and could not queue, since it was opened; it counts in 32 bits.
///
/// # Errors
/// The kernel refuses to tell.
pub fn socket_drops(socket: BorrowedFd<'_>) -> Result<u32> {
    let mut numbers = [0u32; NUMBERS];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes `length` bytes at most, for which there is room, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if result < 0 {
        Err(Error::last_os_error("cannot ask a socket for its losses"))
    } else {
        Ok(numbers[NUMBERS - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn each_datagram_without_room_is_counted() {
        let reader = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let writer = UdpSocket::bind("127.0.0.1:0").expect("a port");
        writer.connect(reader.local_addr().expect("bound")).expect("it is there");
        assert_eq!(socket_drops(reader.as_fd()).ok(), Some(0));
        const SENT: u32 = 10_000;
        for _ in 0..SENT {
            writer.send(&[0; 100]).expect("it is sent");
        }
        let dropped = socket_drops(reader.as_fd()).expect("it is told");
        reader.set_nonblocking(true).expect("a socket");
        let read = std::iter::from_fn(|| reader.recv(&mut [0; 100]).ok()).count();
        assert!(dropped > 0 && read as u32 + dropped == SENT, "{read} read, {dropped} dropped");
    }
}
