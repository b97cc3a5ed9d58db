//! Packet sockets whose frames lie in memory that is shared with the kernel (packet(7)): the fastest that a
//! program without BPF can send and see packets.
//!
//! A socket belongs to the network namespace that it was opened in, whoever uses it.

mod memory;
mod receive;
mod send;

pub use receive::{PacketStatistics, RxRing};
pub use send::TxRing;

use crate::{Error, Result};
use memory::Memory;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A socket for whole frames. Nothing is received before it is bound.
#[derive(Debug)]
struct PacketSocket(OwnedFd);

impl PacketSocket {
    fn new() -> Result<Self> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(Error::last_os_error("cannot open a packet socket"));
        }
        // SAFETY: just opened, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sets an option of level `SOL_PACKET`.
    fn set<T>(&self, name: &str, option: libc::c_int, value: &T) -> Result<()> {
        let fd = self.0.as_raw_fd();
        let length = size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel reads `length` bytes at most from a value that outlives the call.
        let result = unsafe {
            libc::setsockopt(fd, libc::SOL_PACKET, option, std::ptr::from_ref(value).cast(), length)
        };
        check(result, || format!("cannot set {name} of a packet socket"))
    }

    /// Sends through, and receives from, this interface only; `protocol` 0 receives nothing.
    fn bind(&self, ifindex: u32, protocol: libc::c_int) -> Result<()> {
        // SAFETY: plain integers, of which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (protocol as u16).to_be();
        address.sll_ifindex = ifindex as i32;
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the kernel reads `length` bytes from an address that outlives the call.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) };
        check(result, || format!("cannot bind a packet socket to interface {ifindex}"))
    }

    /// Most bytes of a packet, without its Ethernet header.
    fn mtu(&self, ifindex: u32) -> Result<usize> {
        let what = || format!("cannot tell the MTU of interface {ifindex}");
        let fd = self.0.as_raw_fd();
        // SAFETY: plain integers and characters, of which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_ifru.ifru_ifindex = ifindex as i32;
        // SAFETY: the kernel reads the index and writes the name, within a request that outlives the call.
        check(unsafe { libc::ioctl(fd, libc::SIOCGIFNAME, &mut request) }, what)?;
        // SAFETY: the kernel reads the name and writes the MTU, within a request that outlives the call.
        check(unsafe { libc::ioctl(fd, libc::SIOCGIFMTU, &mut request) }, what)?;
        // SAFETY: the field that the kernel has just written.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        usize::try_from(mtu).map_err(|_| Error::Unexpected(what()))
    }

    /// Waits until `events` are there, at most `timeout` milliseconds. EINTR only ends the wait early.
    fn poll(&self, events: i16, timeout: i32) {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events, revents: 0 };
        // SAFETY: one pollfd, which outlives the call.
        unsafe { libc::poll(&mut poll, 1, timeout) };
    }
}

fn check(result: libc::c_int, what: impl FnOnce() -> String) -> Result<()> {
    if result < 0 { Err(Error::last_os_error(what())) } else { Ok(()) }
}

/// Index of an interface of the network namespace that the thread is in.
///
/// # Errors
/// There is none of that name.
pub fn interface_index(name: &CStr) -> Result<u32> {
    // SAFETY: a string that ends with NUL and outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Error::last_os_error(format!("no interface {}", name.to_string_lossy()))),
        index => Ok(index),
    }
}

#[cfg(test)]
mod tests;
