//! The classic capture of libpcap.

use crate::bytes::{Order, fill, replace};
use crate::capture::{Capture, Captured, Frame};
use crate::error::{Error, Result, Stop};
use std::io::Read;

/// Most bytes that are captured of a packet, as libpcap has it.
const MAX_CAPTURED: usize = 262_144;
const HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// An open file.
pub(crate) struct Pcap<R> {
    file: R,
    order: Order,
    /// Nanoseconds in the unit of a time's second part.
    unit: u64,
    link_type: u16,
    /// Packets so far.
    number: u64,
    data: Vec<u8>,
}

impl<R: Read> Pcap<R> {
    pub fn open(mut file: R) -> Result<Self> {
        let mut header = [0; HEADER];
        let length = fill(&mut file, &mut header).map_err(Error::Read)?;
        let (order, unit) = match header {
            [0xa1, 0xb2, 0xc3, 0xd4, ..] => (Order::Big, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d, ..] => (Order::Big, 1),
            [0xd4, 0xc3, ..] => (Order::Little, 1000),
            _ => (Order::Little, 1),
        };
        // The upper bits tell of checksums.
        match order.u32(&header, 20).filter(|_| length == HEADER) {
            Some(word) => Ok(Self { file, order, unit, link_type: word as u16, number: 0, data: Vec::new() }),
            None => Err(Stop::Broken("it ends within its header".into())),
        }
    }

    fn time(&self, header: &[u8]) -> u64 {
        let [seconds, rest] = [0, 4].map(|at| self.order.u32(header, at).map_or(0, u64::from));
        seconds * 1_000_000_000 + rest * self.unit
    }
}

impl<R: Read> Capture for Pcap<R> {
    fn next(&mut self) -> Result<Option<Captured<'_>>> {
        let mut header = [0; PACKET_HEADER];
        self.number += 1;
        let number = self.number;
        let cut = || Stop::Broken(format!("it ends within packet {number}"));
        match fill(&mut self.file, &mut header).map_err(Error::Read)? {
            0 => return Ok(None),
            PACKET_HEADER => {}
            _ => return Err(cut()),
        }
        let [captured, original] = [8, 12].map(|at| self.order.u32(&header, at).unwrap_or_default());
        if captured as usize > MAX_CAPTURED {
            let what =
                format!("packet {number} is said to have {captured} bytes: it is damaged from there on");
            return Err(Stop::Broken(what));
        }
        if !replace(&mut self.file, captured as usize, &mut self.data).map_err(Error::Read)? {
            return Err(cut());
        }
        let time = self.time(&header);
        let frame = Frame {
            interface: 0,
            name: None,
            link_type: self.link_type,
            time,
            direction: None,
            data: &self.data,
        };
        Ok(Some(Captured { length: original.max(captured), frame: Ok(frame) }))
    }
}
