//! The way from a value to its set: one byte a step, as `walk()` in `rules.h` takes it.

use super::Range;
use weir_kernel::{RULE_BLOCK, RuleBlock};

/// Blocks of all dimensions.
pub(super) struct Trie {
    blocks: Vec<RuleBlock>,
    limit: usize,
}

impl Trie {
    pub fn new(limit: u32) -> Self {
        Self { blocks: Vec::new(), limit: limit.min(RULE_BLOCK / 2) as usize }
    }

    pub fn into_blocks(self) -> Vec<RuleBlock> {
        self.blocks
    }

    /// Where another dimension begins; none when the room is used up.
    pub fn new_root(&mut self) -> Option<u32> {
        self.new_block(0)
    }

    fn new_block(&mut self, leaf: u16) -> Option<u32> {
        let number = self.blocks.len();
        if number >= self.limit {
            return None;
        }
        self.blocks.push(RuleBlock { next: [leaf; 256] });
        Some(number as u32)
    }

    /// Has the values in `range`, of `bytes` bytes each, lead from `root` to `set`.
    pub fn fill(&mut self, root: u32, bytes: u32, range: Range, set: u32) -> Option<()> {
        let shift = 8 * (bytes - 1);
        // What one step at this depth spans, less one.
        let within = (1u128 << shift) - 1;
        let (first, last) = (range.0 >> shift & 0xff, range.1 >> shift & 0xff);
        for step in first..=last {
            let begin = if step == first { range.0 & within } else { 0 };
            let end = if step == last { range.1 & within } else { within };
            let place = (root as usize, step as usize);
            if begin == 0 && end == within {
                self.blocks[place.0].next[place.1] = set as u16;
                continue;
            }
            let below = self.below(place)?;
            self.fill(below, bytes - 1, (begin, end), set)?;
        }
        Some(())
    }

    /// The block below a step; a leaf there is split.
    fn below(&mut self, (block, step): (usize, usize)) -> Option<u32> {
        let next = self.blocks[block].next[step];
        if u32::from(next) & RULE_BLOCK != 0 {
            return Some(u32::from(next) & !RULE_BLOCK);
        }
        let below = self.new_block(next)?;
        self.blocks[block].next[step] = (below | RULE_BLOCK) as u16;
        Some(below)
    }
}
