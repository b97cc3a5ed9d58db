//! Arrays that are written round and round: see `arrays.bpf.c`.

use super::super::{Tally, records};
use super::{Losses, Pace, Reader};
use anyhow::Result;
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

    fn read_cards(&mut self, tally: &mut Tally) -> Result<u32> {
        let mut total = 0;
        for cpu in 0..self.cpus {
            let head = self.positions[cpu * POSITIONS].load(Ordering::Acquire) as u32;
            let tail = self.positions[cpu * POSITIONS + TAIL].load(Ordering::Relaxed) as u32;
            let count = head.wrapping_sub(tail);
            let begin = tail % SLOTS;
            let until_end = count.min(SLOTS - begin);
            for range in [begin..begin + until_end, 0..count - until_end] {
                self.cards.read_range(range, |_, values| {
                    let card = values.chunks_exact(8 * records::POSTCARD).nth(cpu);
                    if let Some(card) = card.and_then(records::words) {
                        let (key, counters) = records::postcard(&card);
                        tally.add(key, counters);
                    }
                })?;
            }
            self.positions[cpu * POSITIONS + TAIL].store(head.into(), Ordering::Release);
            total += count;
        }
        Ok(total)
    }
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
