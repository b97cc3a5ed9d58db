//! The hash in an arena: both sides have the same memory, so that reading takes no system call.

use super::super::load::TABLE;
use super::super::{Key, Tally, records};
use super::{Losses, Reader};
use anyhow::Result;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use weir_kernel::Loaded;

/// 64-bit words of `struct arena_entry`.
pub const ENTRY: usize = 16;
const KEY: usize = records::KEY;

/// All tables, one after another.
pub struct Arena {
    loaded: Rc<Loaded>,
    words: usize,
}

impl Arena {
    /// The first `words` words of the arena.
    pub fn new(loaded: Rc<Loaded>, words: usize) -> Self {
        Self { loaded, words }
    }

    fn read_all(&self, tally: &mut Tally, after: impl Fn(&[AtomicU64])) -> Result<()> {
        for (number, entry) in self.loaded.arena("arena", self.words)?.chunks_exact(ENTRY).enumerate() {
            let word = |at: usize| entry[at].load(Ordering::Relaxed);
            if word(KEY) > 0 {
                let mut key: Key = std::array::from_fn(word);
                // Each table by itself, as with hashes.
                key[KEY - 1] |= ((number / TABLE) as u64) << 32;
                tally.set(key, records::value(std::array::from_fn(|number| word(KEY + number))));
                after(entry);
            }
        }
        Ok(())
    }
}

impl Reader for Arena {
    fn read(&mut self, _: Duration, tally: &mut Tally) -> Result<()> {
        self.read_all(tally, |_| ())
    }

    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        self.read_all(tally, |entry| entry.iter().for_each(|word| word.store(0, Ordering::Relaxed)))?;
        Ok(Losses::new())
    }
}
