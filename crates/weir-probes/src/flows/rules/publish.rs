//! Writes rules into the maps, each generation while nobody reads it.

use super::{Compiled, Room};
use crate::flows::{Layout, drain::part_state};
use weir_kernel::{Loaded, Pod, RULE_BLOCK, RULE_ROWS, Result, RuleBlock, RuleHead, RulePoint, Window};

/// The rules, and which generations have them.
pub(in crate::flows) struct Published {
    compiled: Compiled,
    written: [bool; 2],
    /// What entries of a generation that has not been written anew were sampled with.
    before: Compiled,
}

impl Published {
    pub fn new() -> Self {
        Self { compiled: Compiled::none(), written: [true; 2], before: Compiled::none() }
    }

    /// From the next epochs on, one after the other.
    pub fn replace(&mut self, compiled: Compiled) {
        self.before = std::mem::replace(&mut self.compiled, compiled);
        self.written = [false; 2];
    }

    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Those of `epoch`, one of the last two.
    pub fn of(&self, epoch: u32) -> &Compiled {
        if self.written[(epoch & 1) as usize] { &self.compiled } else { &self.before }
    }

    /// Writes the rules for `generation`, which nobody reads, unless it has them.
    pub fn write(&mut self, loaded: &Loaded, layout: &Layout, generation: usize) -> Result<()> {
        if std::mem::replace(&mut self.written[generation], true) {
            return Ok(());
        }
        let Compiled { words, actions, points, .. } = &self.compiled;
        let base = Base::new(layout, generation);
        let blocks: Vec<_> = self.compiled.blocks.iter().map(|block| base.block(block)).collect();
        put(loaded, "rule_heads", generation, &[base.head(&self.compiled.head)])?;
        put(loaded, "rule_blocks", base.block as usize, &blocks)?;
        put(loaded, "rule_sets", 0, &self.compiled.sets.sets[..1])?;
        put(loaded, "rule_sets", base.set as usize, &self.compiled.sets.sets)?;
        put(loaded, "rule_actions", generation * RULE_ROWS as usize, actions)?;
        for (point, set) in points {
            put_point(loaded, layout, generation, (*point, *set))?;
        }
        let samples = u32::from(!self.compiled.rates().is_empty());
        for cpu in 0..layout.cpus {
            let mut state = part_state(loaded, layout, generation as u32, cpu)?;
            state.iter_mut().for_each(|part| (part.rule_words, part.rules_sample) = (*words, samples));
        }
        Ok(())
    }

    /// Notes what a new observation point fits, in both generations: none of its packets has come yet.
    pub fn admit(
        &mut self,
        (loaded, layout): (&Loaded, &Layout),
        point: u16,
        means: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let known = self.compiled.sets.sets.len();
        let full = |error: super::TooMany| weir_kernel::Error::Unexpected(error.to_string());
        self.compiled.admit(point, means).map_err(full)?;
        let set = self.compiled.points[&point];
        for generation in [0, 1] {
            if !self.written[generation] {
                continue;
            }
            let first = Base::new(layout, generation).set as usize + known;
            put(loaded, "rule_sets", first, &self.compiled.sets.sets[known..])?;
            put_point(loaded, layout, generation, (point, set))?;
        }
        Ok(())
    }
}

/// Where a generation's blocks and sets begin: in the maps their numbers are those of the map.
#[derive(Clone, Copy)]
struct Base {
    block: u32,
    set: u32,
}

impl Base {
    fn new(layout: &Layout, generation: usize) -> Self {
        let Room { blocks, sets } = layout.rule_room;
        // Set 0 is that of both generations.
        Self { block: generation as u32 * blocks, set: 1 + generation as u32 * sets }
    }

    fn block(self, block: &RuleBlock) -> RuleBlock {
        let place = |next: u16| match u32::from(next) {
            next if next & RULE_BLOCK != 0 => (next + self.block) as u16,
            next => (next + self.set) as u16,
        };
        RuleBlock { next: block.next.map(place) }
    }

    fn head(self, head: &RuleHead) -> RuleHead {
        RuleHead {
            address4: head.address4 + self.block,
            address6: head.address6 + self.block,
            transport: head.transport + self.block,
            network: head.network + self.block,
            vlan: head.vlan + self.block,
            no_address: head.no_address + self.set,
            ..*head
        }
    }
}

fn put_point(loaded: &Loaded, layout: &Layout, generation: usize, (point, set): (u16, u32)) -> Result<()> {
    let place = generation * layout.points as usize + usize::from(point);
    let set = Base::new(layout, generation).set + set;
    put(loaded, "rule_points", place, &[RulePoint { set, padding: 0 }])
}

fn put<T: Pod>(loaded: &Loaded, map: &str, first: usize, elements: &[T]) -> Result<()> {
    let mut window: Window<T> = Window::new(loaded.map(map)?, first..first + elements.len())?;
    window.copy_from_slice(elements);
    Ok(())
}
