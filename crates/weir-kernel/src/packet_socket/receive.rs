//! Receiving: a ring of blocks (`TPACKET_V3`), each of which the kernel hands over when it is full or old.

use super::{Memory, PacketSocket, check};
use crate::{Error, Result};
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes of a block.
const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 64;
/// After so many milliseconds a block is handed over that is not full.
const RETIRE: u32 = 10;
/// The kernel divides blocks by it when it checks the request; frames of `TPACKET_V3` take what they need.
const FRAME: usize = 2048;

/// What a packet socket has been given since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PacketStatistics {
    /// Packets that were to be put into the ring, with those that were dropped.
    pub packets: u64,
    /// Packets that found no room in it.
    pub drops: u64,
    /// How often the ring stood still because it was full.
    pub freezes: u64,
}

/// All packets of an interface, whole.
#[derive(Debug)]
pub struct RxRing {
    memory: Memory,
    socket: PacketSocket,
    blocks: usize,
    next: usize,
}

impl RxRing {
    /// Memory of its ring.
    pub const BYTES: u64 = (BLOCKS * BLOCK) as u64;

    /// Sees what comes in through an interface and what goes out through it.
    ///
    /// # Errors
    /// There is no such interface in this network namespace, or `CAP_NET_RAW` is missing.
    pub fn new(ifindex: u32) -> Result<Self> {
        Self::open(ifindex, BLOCKS, false)
    }

    /// Sees what comes in through an interface only (4.20).
    ///
    /// # Errors
    /// There is no such interface in this network namespace, or `CAP_NET_RAW` is missing.
    pub fn incoming(ifindex: u32) -> Result<Self> {
        Self::open(ifindex, BLOCKS, true)
    }

    pub(super) fn open(ifindex: u32, blocks: usize, incoming: bool) -> Result<Self> {
        let socket = PacketSocket::new()?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        socket.set("PACKET_VERSION", libc::PACKET_VERSION, &version)?;
        if incoming {
            socket.set("PACKET_IGNORE_OUTGOING", libc::PACKET_IGNORE_OUTGOING, &1i32)?;
        }
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: FRAME as u32,
            tp_frame_nr: (blocks * BLOCK / FRAME) as u32,
            tp_retire_blk_tov: RETIRE,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket.set("PACKET_RX_RING", libc::PACKET_RX_RING, &request)?;
        let memory = Memory::new(&socket, blocks * BLOCK)?;
        socket.bind(ifindex, libc::ETH_P_ALL)?;
        Ok(Self { memory, socket, blocks, next: 0 })
    }

    /// Waits until a block is there; for at most `timeout`.
    pub fn wait(&self, timeout: Duration) {
        self.socket.poll(libc::POLLIN, i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    }

    /// Shows `visit` each packet, from its Ethernet header on, of the blocks that are there: at most once
    /// around the ring, so that it ends. How many.
    ///
    /// # Errors
    /// The kernel has written what lies outside of its block.
    pub fn consume(&mut self, mut visit: impl FnMut(&[u8])) -> Result<usize> {
        let mut total = 0;
        for _ in 0..self.blocks {
            let block = self.next * BLOCK;
            let status = STATUS + block;
            if self.memory.word(status).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                break;
            }
            let result = self.visit(block, &mut visit);
            self.memory.word(status).store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.blocks;
            total += result?;
        }
        Ok(total)
    }

    /// Visits the packets of a block that is ours.
    fn visit(&self, block: usize, visit: &mut impl FnMut(&[u8])) -> Result<usize> {
        // SAFETY: integers, in a block that is ours by its status.
        let header: libc::tpacket_hdr_v1 = unsafe { self.memory.read(block + HEADER) };
        let mut at = header.offset_to_first_pkt as usize;
        for _ in 0..header.num_pkts {
            inside(at, size_of::<libc::tpacket3_hdr>())?;
            // SAFETY: integers, in a block that is ours by its status.
            let packet: libc::tpacket3_hdr = unsafe { self.memory.read(block + at) };
            let (begin, length) = (at + usize::from(packet.tp_mac), packet.tp_snaplen as usize);
            inside(begin, length)?;
            // SAFETY: in a block that is ours until `consume` gives it back.
            visit(unsafe { self.memory.bytes(block + begin, length) });
            at += packet.tp_next_offset as usize;
        }
        Ok(header.num_pkts as usize)
    }

    /// What has happened since the last call: reading it sets it to zero.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn statistics(&self) -> Result<PacketStatistics> {
        let mut read = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let mut length = size_of_val(&read) as libc::socklen_t;
        // SAFETY: the kernel writes `length` bytes at most, and both outlive the call.
        let result = unsafe {
            libc::getsockopt(
                self.socket.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                std::ptr::from_mut(&mut read).cast(),
                &mut length,
            )
        };
        check(result, || "cannot read the statistics of a packet socket".to_owned())?;
        Ok(PacketStatistics {
            packets: read.tp_packets.into(),
            drops: read.tp_drops.into(),
            freezes: read.tp_freeze_q_cnt.into(),
        })
    }
}

const HEADER: usize = offset_of!(libc::tpacket_block_desc, hdr);
const STATUS: usize = HEADER + offset_of!(libc::tpacket_hdr_v1, block_status);

fn inside(begin: usize, length: usize) -> Result<()> {
    if begin <= BLOCK && length <= BLOCK - begin {
        return Ok(());
    }
    Err(Error::Unexpected(format!("a packet socket's block holds {length} bytes at {begin}, beyond its end")))
}
