//! Sending: a ring of frames (`TPACKET_V2`) that one system call sends.

use super::{Memory, PacketSocket};
use crate::{Error, Result};
use std::io;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of an Ethernet header with one VLAN tag.
const LINK_LAYER: usize = 18;
/// Where the kernel looks for what is to be sent.
const DATA: usize = libc::TPACKET2_HDRLEN - size_of::<libc::sockaddr_ll>();
const STATUS: usize = offset_of!(libc::tpacket2_hdr, tp_status);
const LENGTH: usize = offset_of!(libc::tpacket2_hdr, tp_len);
/// How long a device may take none of the frames.
const PATIENCE: Duration = Duration::from_secs(1);
/// A queue that is full, a signal: the frame at which the kernel has stopped is taken next time.
const PASSING: [Option<i32>; 3] = [Some(libc::ENOBUFS), Some(libc::EAGAIN), Some(libc::EINTR)];

/// Ahead of each frame.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct VirtioNetHeader {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

/// Sends whole frames through an interface.
///
/// Past the queueing discipline, as traffic generators do: neither TC programs at egress nor other packet
/// sockets of this interface see them. They are seen at the far end.
#[derive(Debug)]
pub struct TxRing {
    memory: Memory,
    socket: PacketSocket,
    frame_size: usize,
    /// Bytes between the beginnings of two frames.
    step: usize,
    frames: usize,
    next: usize,
    refused: u64,
}

impl TxRing {
    /// A ring for at least `frames` frames of at most `frame_size` bytes, with their Ethernet header.
    ///
    /// # Errors
    /// There is no such interface in this network namespace, its MTU is less than that, or `CAP_NET_RAW` is missing.
    pub fn new(ifindex: u32, frame_size: usize, frames: usize) -> Result<Self> {
        let socket = PacketSocket::new()?;
        let mtu = socket.mtu(ifindex)?;
        if frame_size > mtu + LINK_LAYER {
            return Err(Error::Unexpected(format!(
                "frames of {frame_size} bytes do not pass interface {ifindex}: its MTU is {mtu}"
            )));
        }
        let step = (DATA + size_of::<VirtioNetHeader>() + frame_size).next_power_of_two();
        // Powers of two both, so that frames follow each other from block to block without a gap.
        let block = step.max(1 << 16);
        let blocks = (frames.max(1)).div_ceil(block / step);
        let too_large = || Error::Unexpected(format!("{frames} frames are too many for a ring"));
        let request = libc::tpacket_req {
            tp_block_size: block as u32,
            tp_block_nr: u32::try_from(blocks).map_err(|_| too_large())?,
            tp_frame_size: step as u32,
            tp_frame_nr: u32::try_from(blocks * (block / step)).map_err(|_| too_large())?,
        };
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        socket.set("PACKET_VERSION", libc::PACKET_VERSION, &version)?;
        socket.set("PACKET_QDISC_BYPASS", libc::PACKET_QDISC_BYPASS, &1i32)?;
        socket.set("PACKET_VNET_HDR", libc::PACKET_VNET_HDR, &1i32)?;
        socket.set("PACKET_TX_RING", libc::PACKET_TX_RING, &request)?;
        let memory = Memory::new(&socket, blocks * block)?;
        socket.bind(ifindex, 0)?;
        let frames = blocks * (block / step);
        Ok(Self { memory, socket, frame_size, step, frames, next: 0, refused: 0 })
    }

    /// Frames that are sent at a time, at most.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Frames that the kernel did not take for their format.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Has `fill` write up to `count` frames, each into a slice of `frame_size` bytes that still holds what an
    /// earlier frame left there, and say how long it is; sends them, and returns when all are out. How many:
    /// `count`, or all that the ring holds.
    ///
    /// # Errors
    /// A frame that the kernel refuses (shorter than an Ethernet header), one that is longer than its slice, or
    /// a device that takes none. The frames before it may have been sent.
    pub fn send(&mut self, count: usize, mut fill: impl FnMut(&mut [u8]) -> usize) -> Result<usize> {
        let count = count.min(self.frames);
        for index in 0..count {
            if let Err(error) = self.prepare(index, &mut fill) {
                self.take_back(0..index);
                return Err(error);
            }
        }
        let mut sent = 0;
        let mut progress = Instant::now();
        loop {
            let refusal = self.flush().err();
            let out = (sent..count).take_while(|&index| self.status(index) == Status::Free).count();
            if out > 0 {
                (sent, progress) = (sent + out, Instant::now());
            }
            if sent == count {
                break;
            }
            let passes = refusal.as_ref().is_none_or(|refusal| PASSING.contains(&refusal.raw_os_error()));
            if !passes || progress.elapsed() > PATIENCE {
                let refusal = refusal.unwrap_or_else(|| io::ErrorKind::TimedOut.into());
                return Err(self.give_up(sent, count, refusal));
            }
            thread::yield_now();
        }
        self.next = (self.next + count) % self.frames;
        Ok(count)
    }

    /// Writes frame `index` of those that come next.
    fn prepare(&mut self, index: usize, fill: &mut impl FnMut(&mut [u8]) -> usize) -> Result<()> {
        let at = self.at(index);
        let data = at + DATA;
        let begin = data + size_of::<VirtioNetHeader>();
        // SAFETY: a frame that is ours: `send` returns when all are out.
        let length = fill(unsafe { self.memory.bytes_mut(begin, self.frame_size) });
        if length > self.frame_size {
            let limit = self.frame_size;
            return Err(Error::Unexpected(format!("a frame of {length} bytes in a ring for {limit}")));
        }
        // All of it counts as headers, so that the kernel copies all. Otherwise, packets would lack headers in
        // their linear part, and refer to this memory while they wait in a queue at the far end.
        let hdr_len = u16::try_from(length).unwrap_or(u16::MAX);
        let header = VirtioNetHeader { hdr_len, ..VirtioNetHeader::default() };
        let total = (length + size_of::<VirtioNetHeader>()) as u32;
        // SAFETY: the same frame.
        unsafe { self.memory.write(data, header) };
        self.memory.word(at + LENGTH).store(total, Ordering::Relaxed);
        self.memory.word(at + STATUS).store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
        Ok(())
    }

    /// Has the kernel send what is prepared, and waits until it has let go of it.
    fn flush(&self) -> io::Result<()> {
        // SAFETY: no data besides the ring's.
        let result = unsafe { libc::send(self.socket.0.as_raw_fd(), std::ptr::null(), 0, 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes back what has not been sent, from the frame on at which the kernel has stopped.
    fn give_up(&mut self, sent: usize, count: usize, refusal: io::Error) -> Error {
        let what = if self.status(sent) == Status::Refused {
            self.refused += 1;
            let length = self.memory.word(self.at(sent) + LENGTH).load(Ordering::Relaxed) as usize;
            format!("the kernel refuses a frame of {} bytes", length - size_of::<VirtioNetHeader>())
        } else {
            "cannot send from the ring of a packet socket".to_owned()
        };
        self.take_back(sent..count);
        self.next = (self.next + sent) % self.frames;
        Error::kernel(what, refusal)
    }

    /// Those that the kernel is sending it gives back itself.
    fn take_back(&self, range: std::ops::Range<usize>) {
        for index in range {
            let status = self.memory.word(self.at(index) + STATUS);
            let asked_for = [libc::TP_STATUS_SEND_REQUEST, libc::TP_STATUS_WRONG_FORMAT];
            if asked_for.contains(&(status.load(Ordering::Acquire) & 0b111)) {
                status.store(libc::TP_STATUS_AVAILABLE, Ordering::Release);
            }
        }
    }

    fn status(&self, index: usize) -> Status {
        // The upper bits tell who stamped the time.
        match self.memory.word(self.at(index) + STATUS).load(Ordering::Acquire) & 0b111 {
            libc::TP_STATUS_AVAILABLE => Status::Free,
            libc::TP_STATUS_WRONG_FORMAT => Status::Refused,
            _ => Status::UnderWay,
        }
    }

    fn at(&self, index: usize) -> usize {
        (self.next + index) % self.frames * self.step
    }
}

/// Whose a frame is.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    Free,
    UnderWay,
    Refused,
}
