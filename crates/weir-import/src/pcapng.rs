//! The capture of Wireshark: blocks, in sections that each have interfaces of their own.

use crate::bytes::{Order, fill, replace};
use crate::capture::{Capture, Captured, Frame};
use crate::error::{Error, Result, Stop};
use crate::report::Cause;
use std::io::Read;
use std::sync::Arc;
use weir_record::{Direction, printable_start};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const PACKET: u32 = 6;

/// A block is not longer than this, whatever it says; Wireshark's limit for a packet is half of it.
const MAX_BLOCK: u32 = 512 << 20;
/// More interfaces than a file has that means it.
const MAX_INTERFACES: usize = 65_536;

/// Most bytes of an interface's name that are of use.
const MAX_NAME: usize = 64;

/// An open file.
pub(crate) struct Pcapng<R> {
    file: R,
    order: Order,
    /// Those of the section.
    interfaces: Vec<Interface>,
    /// How many the sections before had.
    before: u32,
    /// Blocks so far.
    number: u64,
    body: Vec<u8>,
}

/// What a section says of an interface.
struct Interface {
    link_type: u16,
    snap_length: u32,
    name: Option<Arc<str>>,
    resolution: u8,
    /// In seconds.
    offset: i64,
}

/// Where in a block a packet is.
struct Place {
    interface: usize,
    time: Option<u64>,
    captured: usize,
    length: u32,
    data: usize,
}

impl<R: Read> Pcapng<R> {
    pub fn new(file: R) -> Self {
        Self { file, order: Order::Little, interfaces: Vec::new(), before: 0, number: 0, body: Vec::new() }
    }

    /// Reads the next block into `body`. Its type; none at the end of the file.
    fn next_block(&mut self) -> Result<Option<u32>> {
        let mut header = [0; 12];
        self.number += 1;
        let cut = || Stop::Broken(format!("it ends within block {}", self.number));
        match fill(&mut self.file, &mut header[..8]).map_err(Error::Read)? {
            0 => return Ok(None),
            8 => {}
            _ => return Err(cut()),
        }
        let is_section = header[..4] == SECTION.to_be_bytes();
        if is_section {
            if fill(&mut self.file, &mut header[8..]).map_err(Error::Read)? < 4 {
                return Err(cut());
            }
            self.order = match header[8..] {
                [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                _ => return Err(self.damaged()),
            };
        }
        let [kind, length] = [0, 4].map(|at| self.order.u32(&header, at).unwrap_or_default());
        let read = if is_section { 12 } else { 8 };
        if !(read + 4..=MAX_BLOCK).contains(&length) || length % 4 != 0 {
            return Err(self.damaged());
        }
        let rest = (length - read) as usize;
        if !replace(&mut self.file, rest, &mut self.body).map_err(Error::Read)? {
            return Err(cut());
        }
        // The length stands at the end again.
        self.body.truncate(rest - 4);
        Ok(Some(kind))
    }

    fn damaged(&self) -> Stop {
        Stop::Broken(format!("block {} is damaged: nothing is read from there on", self.number))
    }

    fn begin_section(&mut self) {
        self.before = self.before.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
    }

    fn describe_interface(&mut self) -> Result<()> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(self.damaged());
        }
        let (order, body) = (self.order, &self.body);
        let (Some(link_type), Some(snap_length)) = (order.u16(body, 0), order.u32(body, 4)) else {
            return Err(self.damaged());
        };
        let mut interface = Interface { link_type, snap_length, name: None, resolution: 6, offset: 0 };
        for (code, value) in options(order, &body[8..]) {
            match code {
                2 => interface.name = Some(printable_start(&String::from_utf8_lossy(value), MAX_NAME).into()),
                9 => interface.resolution = value.first().copied().unwrap_or(6),
                14 => interface.offset = order.u64(value, 0).unwrap_or_default().cast_signed(),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// Where the packet of this block is.
    fn place(&self, kind: u32) -> Option<Place> {
        let (order, body) = (self.order, &self.body);
        if kind == SIMPLE_PACKET {
            let length = order.u32(body, 0)?;
            let snap = self.interfaces.first().map_or(0, |interface| interface.snap_length);
            let snap = if snap == 0 { u32::MAX } else { snap };
            let captured = length.min(snap).min(body.len() as u32 - 4) as usize;
            return Some(Place { interface: 0, time: None, captured, length, data: 4 });
        }
        let interface =
            if kind == PACKET { order.u32(body, 0)? as usize } else { order.u16(body, 0)?.into() };
        let ticks = u64::from(order.u32(body, 4)?) << 32 | u64::from(order.u32(body, 8)?);
        let (captured, length) = (order.u32(body, 12)? as usize, order.u32(body, 16)?);
        let time = self.interfaces.get(interface).and_then(|interface| interface.nanos(ticks));
        let place = Place { interface, time, captured, length, data: 20 };
        (captured <= body.len().checked_sub(20)?).then_some(place)
    }

    /// Which way a packet went, if its options say so.
    fn direction(&self, place: &Place) -> Option<Direction> {
        let options_at = place.data + place.captured.next_multiple_of(4);
        let mut flags = options(self.order, self.body.get(options_at..)?).filter(|(code, _)| *code == 2);
        match self.order.u32(flags.next()?.1, 0)? & 3 {
            1 => Some(Direction::Ingress),
            2 => Some(Direction::Egress),
            _ => None,
        }
    }

    fn frame(&self, place: &Place) -> std::result::Result<Frame<'_>, Cause> {
        let interface = self.interfaces.get(place.interface).ok_or(Cause::NoInterface)?;
        Ok(Frame {
            interface: self.before.saturating_add(place.interface as u32),
            name: interface.name.as_ref(),
            link_type: interface.link_type,
            time: place.time.ok_or(Cause::NoTime)?,
            direction: self.direction(place),
            data: self.body.get(place.data..place.data + place.captured).unwrap_or_default(),
        })
    }
}

impl<R: Read> Capture for Pcapng<R> {
    fn next(&mut self) -> Result<Option<Captured<'_>>> {
        loop {
            let Some(kind) = self.next_block()? else { return Ok(None) };
            match kind {
                SECTION => self.begin_section(),
                INTERFACE => self.describe_interface()?,
                PACKET | SIMPLE_PACKET | OLD_PACKET => {
                    let place = self.place(kind).ok_or_else(|| self.damaged())?;
                    let length = place.length.max(place.captured as u32);
                    return Ok(Some(Captured { length, frame: self.frame(&place) }));
                }
                // Names, statistics, secrets, and what others have invented.
                _ => {}
            }
        }
    }
}

impl Interface {
    /// So many ticks of its clock, in nanoseconds since the Unix epoch.
    fn nanos(&self, ticks: u64) -> Option<u64> {
        const SECOND: u128 = 1_000_000_000;
        let power = u32::from(self.resolution & 0x7f);
        let base: u128 = if self.resolution & 0x80 != 0 { 2 } else { 10 };
        let nanos = i128::try_from(u128::from(ticks) * SECOND / base.checked_pow(power)?).ok()?;
        u64::try_from(nanos + i128::from(self.offset) * SECOND as i128).ok()
    }
}

/// Codes and values of options, as far as they are whole.
fn options(order: Order, mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (code, length) = (order.u16(bytes, 0)?, usize::from(order.u16(bytes, 2)?));
        let value = bytes.get(4..4 + length)?;
        bytes = bytes.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}
