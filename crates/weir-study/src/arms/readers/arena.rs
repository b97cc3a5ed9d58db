//! The hash in an arena: both sides have the same memory, so that reading takes no system call.

use super::super::{Tally, records};
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
        for entry in self.loaded.arena("arena", self.words)?.chunks_exact(ENTRY) {
            let word = |number: usize| entry[number].load(Ordering::Relaxed);
            if word(KEY) > 0 {
                let key = std::array::from_fn(word);
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
