//! Arrays that are written round and round: see `arrays.bpf.c`.

use super::super::{Tally, records};
use super::{Losses, Pace, Reader};
use anyhow::Result;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use weir_kernel::{Batch, Shared};

/// SLOTS in `arrays.bpf.c`.
pub const SLOTS: u32 = 65_536;
/// 64-bit words of `struct positions`; the head is the first half of the first.
pub const POSITIONS: usize = 16;
/// Where in them the tail is.
const TAIL: usize = 8;
/// 64-bit words of `struct slot`.
pub const SLOT: usize = records::POSTCARD + 1;
/// Slots that are read at a time.
const CHUNK: u32 = 4096;
/// Nobody wakes the reader of an array.
const NAP: Duration = Duration::from_millis(1);

/// The shared array: whoever comes takes the next slot.
pub struct SharedArray {
    positions: Shared,
    slots: Shared,
}

impl SharedArray {
    /// Of these two maps.
    pub fn new(positions: Shared, slots: Shared) -> Self {
        Self { positions, slots }
    }

    /// Reads up to the first slot that is not finished yet. How many.
    fn read_slots(&mut self, tally: &mut Tally) -> u32 {
        let tail = self.positions[TAIL].load(Ordering::Relaxed) as u32;
        let mut next = tail;
        let mut card = [0; records::POSTCARD];
        loop {
            let first = (next % SLOTS) as usize * SLOT;
            let Some((written, words)) = self.slots[first..first + SLOT].split_last() else { break };
            if written.load(Ordering::Acquire) != u64::from(next) + 1 {
                break;
            }
            card.iter_mut().zip(words).for_each(|(copy, word)| *copy = word.load(Ordering::Relaxed));
            let (key, counters) = records::postcard(&card);
            tally.add(key, counters);
            next = next.wrapping_add(1);
            // Room is made early, for those who write meanwhile.
            if next.wrapping_sub(tail).is_multiple_of(1024) {
                self.positions[TAIL].store(next.into(), Ordering::Release);
            }
        }
        self.positions[TAIL].store(next.into(), Ordering::Release);
        next.wrapping_sub(tail)
    }
}

impl Reader for SharedArray {
    fn pace(&self) -> Pace {
        Pace::Eager
    }

    fn read(&mut self, patience: Duration, tally: &mut Tally) -> Result<()> {
        if self.read_slots(tally) == 0 {
            thread::sleep(NAP.min(patience));
        }
        Ok(())
    }

    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        self.read_slots(tally);
        Ok(Losses::new())
    }
}

/// The per-CPU array: each CPU has slots of its own. The kernel does not let it be mapped.
pub struct PerCpuArray {
    positions: Shared,
    cards: Batch,
    cpus: usize,
}

impl PerCpuArray {
    /// Of these two maps.
    pub fn new(positions: Shared, cards: Batch, cpus: usize) -> Self {
        Self { positions, cards, cpus }
    }

    /// Each slot holds a record of every CPU: it is read once for all of them.
    fn read_cards(&mut self, tally: &mut Tally) -> Result<u32> {
        let unread: Vec<(u32, u32)> = (0..self.cpus).map(|cpu| self.unread(cpu)).collect();
        for chunk in (0..SLOTS).step_by(CHUNK as usize) {
            let Some(range) = span(&unread, chunk) else { continue };
            let mut index = range.start;
            self.cards.read_range(range, |_, values| {
                for (card, (tail, count)) in values.chunks_exact(8 * records::POSTCARD).zip(&unread) {
                    if index.wrapping_sub(*tail) % SLOTS < *count
                        && let Some(card) = records::words(card)
                    {
                        let (key, counters) = records::postcard(&card);
                        tally.add(key, counters);
                    }
                }
                index += 1;
            })?;
        }
        for (cpu, (tail, count)) in unread.iter().enumerate() {
            let head = tail.wrapping_add(*count);
            self.positions[cpu * POSITIONS + TAIL].store(head.into(), Ordering::Release);
        }
        Ok(unread.iter().map(|(_, count)| count).sum())
    }

    /// Where a CPU's unread records begin, and how many there are.
    fn unread(&self, cpu: usize) -> (u32, u32) {
        let head = self.positions[cpu * POSITIONS].load(Ordering::Acquire) as u32;
        let tail = self.positions[cpu * POSITIONS + TAIL].load(Ordering::Relaxed) as u32;
        (tail, head.wrapping_sub(tail))
    }
}

/// The slots from `chunk` on that hold an unread record of some CPU, and those between.
fn span(unread: &[(u32, u32)], chunk: u32) -> Option<Range<u32>> {
    let is_unread =
        |index: &u32| unread.iter().any(|(tail, count)| index.wrapping_sub(*tail) % SLOTS < *count);
    let mut slots = chunk..chunk + CHUNK;
    let first = slots.find(is_unread)?;
    let last = (chunk..chunk + CHUNK).rev().find(is_unread)?;
    Some(first..last + 1)
}

impl Reader for PerCpuArray {
    fn pace(&self) -> Pace {
        Pace::Eager
    }

    fn read(&mut self, patience: Duration, tally: &mut Tally) -> Result<()> {
        if self.read_cards(tally)? == 0 {
            thread::sleep(NAP.min(patience));
        }
        Ok(())
    }

    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        self.read_cards(tally)?;
        Ok(Losses::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_that_somebody_has_written() {
        assert_eq!(span(&[(0, 0), (7, 0)], 0), None);
        assert_eq!(span(&[(5, 3), (0, 0)], 0), Some(5..8));
        assert_eq!(span(&[(5, 3), (100, 1)], 0), Some(5..101));
        // Round the end, and positions that have wrapped.
        assert_eq!(span(&[(SLOTS - 1, 3)], 0), Some(0..2));
        assert_eq!(span(&[(SLOTS - 1, 3)], SLOTS - CHUNK), Some(SLOTS - 1..SLOTS));
        assert_eq!(span(&[(u32::MAX, 2)], 0), Some(0..1));
        assert_eq!(span(&[(0, SLOTS)], CHUNK), Some(CHUNK..2 * CHUNK));
    }
}
