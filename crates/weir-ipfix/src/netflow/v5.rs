//! Version 5: IPv4 only, and what has always been in it. Never a standard; Cisco's description is what everybody follows.

use super::clock::Clock;
use super::one_way::OneWay;
use crate::encode::{Encode, Messages, Progress, Refused};
use crate::wire::{set_u16, set_u32};
use std::net::Ipv4Addr;
use weir_record::{Addresses, Count, FlowRecord};

const VERSION: u16 = 5;
const HEADER: usize = 24;
const RECORD: usize = 48;
/// In a message.
const MOST_RECORDS: usize = 30;
/// What a record may leave as: 2^48 bytes.
const MOST_PARTS: u64 = 1 << 16;
/// There are two bits for how, and 14 for how many: packets are drawn at random.
const RANDOM: u16 = 0b10 << 14;
const MOST_SAMPLING: u32 = (1 << 14) - 1;
/// Stands for the number of a system that two bytes have no room for (AS_TRANS, RFC 6793).
const LARGE_SYSTEM: u16 = 23_456;

/// Makes messages of records, of those that are of IPv4.
#[derive(Debug)]
pub struct NetFlow5 {
    /// Type and number of the engine.
    engine: u16,
    most_records: usize,
    time: u32,
    /// Flows in all messages before.
    sequence: u32,
    clock: Clock,
    message: Vec<u8>,
    /// Those that are full.
    full: Messages,
    /// The latest end of a flow in it.
    latest: u32,
    /// What a header says of all its flows.
    sampling: u16,
}

impl NetFlow5 {
    /// Of this engine: its type in the upper byte, its number in the lower one.
    pub fn new(engine: u16) -> Self {
        Self {
            engine,
            most_records: MOST_RECORDS,
            time: 0,
            sequence: 0,
            clock: Clock::default(),
            message: Vec::new(),
            full: Messages::default(),
            latest: 0,
            sampling: 0,
        }
    }

    fn flows(&self) -> usize {
        self.message.len().saturating_sub(HEADER) / RECORD
    }

    /// A flow of counts that a record has room for.
    fn put(&mut self, flow: &OneWay<'_>, (source, destination): (Ipv4Addr, Ipv4Addr), count: Count) {
        if self.message.is_empty() {
            self.message.resize(HEADER, 0);
        }
        let [start, end] = [flow.record.start, flow.record.end].map(|time| self.clock.uptime(time));
        self.latest = self.latest.max(end).max(start);
        let (from, to) = flow.both_ports().unwrap_or_default();
        let [input, output] = flow.interfaces().map(|index| u16::try_from(index).unwrap_or(0));
        let systems = flow.systems.map(|system| system.map_or(0, short_system));
        let mut record = [0; RECORD];
        set_u32(&mut record, 0, source.to_bits());
        set_u32(&mut record, 4, destination.to_bits());
        // Behind them the next hop, which nobody has looked for.
        for (at, value) in
            [(12, input), (14, output), (32, from), (34, to), (40, systems[0]), (42, systems[1])]
        {
            set_u16(&mut record, at, value);
        }
        for (at, value) in [(16, narrow(count.packets)), (20, narrow(count.bytes)), (24, start), (28, end)] {
            set_u32(&mut record, at, value);
        }
        record[37] = flow.flags_byte().unwrap_or(0);
        record[38] = flow.protocol;
        record[39] = flow.class_of_service().unwrap_or(0);
        self.message.extend(record);
    }

    /// Nothing more comes into the message, where there is anything in it.
    fn finish(&mut self) {
        let flows = self.flows();
        if flows == 0 {
            return;
        }
        let [uptime, seconds] = self.clock.header(self.time, std::mem::take(&mut self.latest));
        for (at, value) in [(0, VERSION), (2, flows as u16), (20, self.engine), (22, self.sampling)] {
            set_u16(&mut self.message, at, value);
        }
        // The nanoseconds between are none: the time is a whole second.
        for (at, value) in [(4, uptime), (8, seconds), (16, self.sequence)] {
            set_u32(&mut self.message, at, value);
        }
        self.sequence = self.sequence.wrapping_add(flows as u32);
        self.full.push(&mut self.message);
    }
}

impl Encode for NetFlow5 {
    fn set_time(&mut self, seconds: u32) {
        self.time = seconds;
        if self.message.is_empty() {
            self.clock.keep_up(seconds);
        }
    }

    fn set_usual(&mut self, bytes: usize) {
        self.most_records = (bytes.saturating_sub(HEADER) / RECORD).clamp(1, MOST_RECORDS);
    }

    fn renew(&mut self) {}

    fn add(&mut self, record: &FlowRecord) -> Result<&[Vec<u8>], Refused> {
        let flows = OneWay::both(record)?;
        // One that cannot be said is not said by half.
        flows.clone().try_for_each(|flow| checked(&flow).map(drop))?;
        self.full.clear();
        for flow in flows {
            let (addresses, sampling, parts) = checked(&flow)?;
            for part in 0..parts {
                if self.flows() >= self.most_records || self.sampling != sampling {
                    self.finish();
                }
                self.sampling = sampling;
                let count = Count {
                    packets: share(flow.count.packets, parts, part),
                    bytes: share(flow.count.bytes, parts, part),
                };
                self.put(&flow, addresses, count);
            }
        }
        Ok(self.full.all())
    }

    fn end(&mut self) -> &[Vec<u8>] {
        self.full.clear();
        self.finish();
        self.full.all()
    }

    fn progress(&self) -> Progress {
        Progress::at(self.sequence)
    }

    fn go_back(&mut self, progress: Progress) {
        (self.sequence, self.latest) = (progress.sequence, 0);
        self.message.clear();
    }
}

/// Its addresses, how a header says that it is sampled, and how many records it takes to say its counts.
fn checked(flow: &OneWay<'_>) -> Result<((Ipv4Addr, Ipv4Addr), u16, u64), Refused> {
    let Addresses::V4(source, destination) = flow.addresses else { return Err(Refused::Ipv6) };
    let sampling = match flow.sampling_rate {
        0 | 1 => 0,
        rate @ 2..=MOST_SAMPLING => RANDOM | rate as u16,
        rate => return Err(Refused::SamplingRate(rate)),
    };
    let largest = flow.count.packets.max(flow.count.bytes);
    match largest.div_ceil(u32::MAX.into()).max(1) {
        parts @ 1..=MOST_PARTS => Ok(((source, destination), sampling, parts)),
        _ => Err(Refused::TooMuch(largest)),
    }
}

/// One of so many parts that together are the whole.
fn share(whole: u64, parts: u64, part: u64) -> u64 {
    whole / parts + u64::from(part < whole % parts)
}

/// What [`share`] has made small enough.
fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn short_system(system: u32) -> u16 {
    u16::try_from(system).unwrap_or(LARGE_SYSTEM)
}
