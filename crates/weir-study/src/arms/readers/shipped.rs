//! The program that `weir run` ships, read as `weir run` reads it.

use super::super::Tally;
use super::{Losses, Reader};
use anyhow::Result;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use weir_kernel::{FlowEntry, LedgerCell};
use weir_probes::flows::{Flows, Seen, Visitor};

/// The flow probe.
pub struct Shipped {
    flows: Rc<RefCell<Flows>>,
    losses: Losses,
}

impl Shipped {
    /// Reads `flows`.
    pub fn new(flows: Rc<RefCell<Flows>>) -> Self {
        Self { flows, losses: Losses::new() }
    }

    fn drain(&mut self, tally: &mut Tally) -> Result<()> {
        let mut flows = self.flows.borrow_mut();
        let left = flows.flip()?;
        flows.consume_spill(usize::MAX, |record| add(tally, &record.entry))?;
        Ok(flows.drain(left, &mut Count { tally, losses: &mut self.losses })?)
    }
}

impl Reader for Shipped {
    fn read(&mut self, _: Duration, tally: &mut Tally) -> Result<()> {
        self.drain(tally)
    }

    /// Both generations: the one that is written now, and what has been spilled since.
    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        self.drain(tally)?;
        self.drain(tally)?;
        Ok(std::mem::take(&mut self.losses))
    }
}

struct Count<'a> {
    tally: &'a mut Tally,
    losses: &'a mut Losses,
}

impl Visitor for Count<'_> {
    fn flow(&mut self, seen: Seen<'_>) {
        add(self.tally, seen.entry);
    }

    fn cell(&mut self, _: u16, cell: &LedgerCell) {
        let causes = [("spill ring full", cell.lost_spill_packets), ("nested", cell.lost_nested_packets)];
        for (cause, packets) in causes.into_iter().filter(|(_, packets)| *packets > 0) {
            *self.losses.entry(cause).or_default() += packets;
        }
    }
}

fn add(tally: &mut Tally, entry: &FlowEntry) {
    tally.add(u16::from_be(entry.source_port), u16::from_be(entry.destination_port), entry.packets);
}
