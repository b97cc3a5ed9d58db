//! Raw frames out of an interface, as fast as the kernel takes them.

use crate::netns::Namespace;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrStorage, bind, send, sendmmsg, socket,
};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

const BATCH: u64 = 64;

/// A packet socket bound to one interface. Frames go the way of all others: through TC egress.
pub struct Injector {
    socket: OwnedFd,
}

impl Injector {
    /// Opens the socket inside `namespace`; it may be used from anywhere.
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        namespace.enter(|| {
            // The one safe source of a link-layer address to bind to.
            let address = getifaddrs()
                .expect("addresses")
                .filter(|entry| entry.interface_name == interface)
                .find_map(|entry| entry.address?.as_link_addr().copied())
                .unwrap_or_else(|| panic!("no interface {interface}"));
            // Protocol 0: it receives nothing.
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
            let socket = socket.expect("packet socket");
            bind(socket.as_raw_fd(), &address).expect("bind to the interface");
            Self { socket }
        })
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()), "frame {frame:02x?}");
    }

    /// Sends `count` copies of `template`, each first changed by `change`, which is told its number.
    pub fn flood(&self, template: &[u8], count: u64, mut change: impl FnMut(u64, &mut [u8])) {
        let mut batch = vec![template.to_vec(); BATCH as usize];
        let mut headers = MultiHeaders::preallocate(batch.len(), None);
        for first in (0..count).step_by(BATCH as usize) {
            let numbers = first..count.min(first + BATCH);
            let filled = numbers.zip(&mut batch).map(|(number, frame)| change(number, frame)).count();
            self.send_all(&batch[..filled], &mut headers);
        }
    }

    fn send_all(&self, frames: &[Vec<u8>], headers: &mut MultiHeaders<SockaddrStorage>) {
        let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let nowhere = vec![None; frames.len()];
        let mut sent = 0;
        while sent < frames.len() {
            let fd = self.socket.as_raw_fd();
            let results = sendmmsg(fd, headers, &slices[sent..], &nowhere[sent..], [], MsgFlags::empty());
            sent += results.expect("sendmmsg").count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Ipv4, UDP, udp};
    use crate::pair::{INTERFACE, Pair};
    use crate::witness::{Capture, link};

    #[test]
    fn root_every_frame_that_is_sent_is_on_the_wire() {
        let pair = Pair::new();
        let capture = Capture::start(&pair.right, INTERFACE);
        let injector = Injector::open(&pair.left, INTERFACE);
        let frame = Ipv4::default().frame(UDP, &udp(1, 2, &[0; 18]));
        let mut changed = 0;
        injector.flood(&frame, 1_001, |_, _| changed += 1);
        injector.send(&frame);

        assert_eq!(changed, 1_001);
        let counted = link(&pair.left, INTERFACE).tx;
        assert_eq!((counted.packets, counted.bytes), (1_002, 1_002 * 60));
        assert_eq!(capture.stop(), 1_002);
    }
}
