//! Messages as TCP carries them: one after the other, each behind its length, cut wherever it pleases.

use crate::lookup::Seen;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Bytes of the length before each message.
const PREFIX: usize = 2;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// A segment that came by.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'s> {
    /// When and where.
    pub seen: Seen,
    /// From whom.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Number of the first byte.
    pub sequence: u32,
    /// TCP's flags.
    pub flags: u8,
    /// The bytes that there are.
    pub bytes: &'s [u8],
    /// How many there were on the wire.
    pub length: usize,
}

/// Bytes that could not be understood, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfollowed {
    /// Segments of a stream whose beginning was not seen, and that do not begin with a message of their own.
    pub begun: u64,
    /// Segments behind ones that did not come by in order.
    pub gaps: u64,
    /// Streams that were forgotten to make room.
    pub evicted: u64,
}

/// One direction of a connection at one interface.
type Key = (Seen, SocketAddr, SocketAddr);

#[derive(Debug)]
struct Stream {
    /// Number of the byte that comes next.
    next: u32,
    /// What has come of the next message.
    buffer: Vec<u8>,
    /// Bytes to come of a message that has been told already, as far as it was there.
    skip: usize,
    /// Nobody knows where a message begins.
    is_astray: bool,
    /// When it was last heard of, by number of segment.
    heard: u64,
}

/// All streams that are followed.
#[derive(Debug)]
pub struct Streams {
    all: HashMap<Key, Stream>,
    /// Each stream once or more, by when it was heard of.
    queue: VecDeque<(Key, u64)>,
    capacity: usize,
    /// Bytes that may wait altogether.
    most_bytes: usize,
    bytes: usize,
    serial: u64,
    unfollowed: Unfollowed,
}

impl Streams {
    /// At most `capacity` streams, and `most_bytes` that wait for others.
    pub fn new(capacity: usize, most_bytes: usize) -> Self {
        Self {
            all: HashMap::new(),
            queue: VecDeque::new(),
            capacity,
            most_bytes,
            bytes: 0,
            serial: 0,
            unfollowed: Unfollowed::default(),
        }
    }

    /// What could not be followed.
    pub fn unfollowed(&self) -> Unfollowed {
        self.unfollowed
    }

    /// Takes in a segment; `told` gets each message that ends with it, and whether it is whole.
    pub fn hear(&mut self, segment: &Segment<'_>, mut told: impl FnMut(&[u8], bool)) {
        let Segment { seen, source, destination, sequence, flags, bytes, length } = *segment;
        let key = (Seen { time: 0, ..seen }, source, destination);
        self.serial += 1;
        let first = if flags & SYN != 0 { Some(sequence.wrapping_add(1)) } else { None };
        let stream = match (self.all.get_mut(&key), first) {
            (Some(known), None) => known,
            (_, first) if length > 0 || first.is_some() => {
                self.forget(&key);
                let next = first.unwrap_or(sequence);
                self.queue.push_back((key, self.serial));
                let (buffer, is_astray, heard) = (Vec::new(), first.is_none(), self.serial);
                self.all.entry(key).or_insert(Stream { next, buffer, skip: 0, is_astray, heard })
            }
            _ => return,
        };
        stream.heard = self.serial;
        let before = stream.buffer.len();
        let sequence = first.unwrap_or(sequence);
        if length > 0 {
            stream.take(sequence, (bytes, length), &mut self.unfollowed, &mut told);
        }
        self.bytes = self.bytes + stream.buffer.len() - before;
        if flags & (FIN | RST) != 0 {
            self.forget(&key);
        }
        self.make_room();
    }

    fn forget(&mut self, key: &Key) {
        if let Some(gone) = self.all.remove(key) {
            self.bytes -= gone.buffer.len();
        }
    }

    /// Lets those go that were heard of longest ago.
    fn make_room(&mut self) {
        // What is gone leaves its places in the queue behind.
        let crowded = self.queue.len() > 2 * self.capacity;
        while self.all.len() > self.capacity
            || self.bytes > self.most_bytes
            || crowded && self.queue.len() > self.capacity
        {
            let Some((key, heard)) = self.queue.pop_front() else { return };
            let Some(stream) = self.all.get(&key) else { continue };
            if stream.heard > heard {
                self.queue.push_back((key, stream.heard));
            } else {
                self.forget(&key);
                self.unfollowed.evicted += 1;
            }
        }
    }
}

impl Stream {
    /// Takes in `bytes` of a segment of this length that begins with byte number `sequence`.
    fn take(
        &mut self,
        sequence: u32,
        (bytes, length): (&[u8], usize),
        unfollowed: &mut Unfollowed,
        told: &mut impl FnMut(&[u8], bool),
    ) {
        // By how much it lies ahead of what was to come, or behind.
        let ahead = sequence.wrapping_sub(self.next).cast_signed();
        let known = if ahead < 0 { ahead.unsigned_abs() as usize } else { 0 };
        if known >= length {
            return;
        }
        if ahead > 0 {
            unfollowed.gaps += 1;
            self.buffer.clear();
            (self.skip, self.is_astray) = (0, true);
        }
        self.next = sequence.wrapping_add(length as u32);
        let (bytes, length) = (bytes.get(known..).unwrap_or_default(), length - known);
        if self.is_astray {
            if !begins_a_message(bytes, length) {
                unfollowed.begun += u64::from(ahead <= 0);
                return;
            }
            self.is_astray = false;
        }
        let skip = self.skip.min(length);
        self.skip -= skip;
        self.buffer.extend_from_slice(bytes.get(skip..).unwrap_or_default());
        let missing = length.saturating_sub(skip.max(bytes.len()));
        self.tell_whole(told);
        if missing > 0 {
            self.tell_cut(missing, told);
        }
    }

    fn tell_whole(&mut self, told: &mut impl FnMut(&[u8], bool)) {
        let mut start = 0;
        while let Some(end) = end_of_message(&self.buffer[start..]).map(|end| start + end) {
            let Some(message) = self.buffer.get(start + PREFIX..end) else { break };
            told(message, true);
            start = end;
        }
        self.buffer.drain(..start);
    }

    /// Tells as much as there is of a message whose rest was not copied.
    fn tell_cut(&mut self, missing: usize, told: &mut impl FnMut(&[u8], bool)) {
        let rest = end_of_message(&self.buffer).and_then(|end| end.checked_sub(self.buffer.len() + missing));
        if self.buffer.len() > PREFIX {
            told(&self.buffer[PREFIX..], false);
        }
        self.buffer.clear();
        // It ends somewhere in what is missing: nobody knows what begins behind it.
        self.is_astray = rest.is_none();
        self.skip = rest.unwrap_or(0);
    }
}

/// Where the message ends that begins here, with its length before it.
fn end_of_message(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX>()?;
    Some(PREFIX + usize::from(u16::from_be_bytes(*prefix)))
}

/// A segment that is one message, as most are.
fn begins_a_message(bytes: &[u8], length: usize) -> bool {
    end_of_message(bytes) == Some(length)
}

#[cfg(test)]
mod tests;
