//! The program that `weir run` ships, read as `weir run` reads it.

use super::super::{Counters, Tally};
use super::{Losses, Pace, Reader};
use anyhow::Result;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use weir_kernel::{FlowAddresses, FlowEntry, LINK_IPV6, LedgerCell, SpillRecord};
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
        flows.consume_spill(usize::MAX, |record| add(tally, &record.entry, addresses_of(record)))?;
        Ok(flows.drain(left, &mut Count { tally, losses: &mut self.losses })?)
    }
}

impl Reader for Shipped {
    fn pace(&self) -> Pace {
        Pace::WhenWoken
    }

    /// As the agent does between two drains.
    fn relieve(&mut self, patience: Duration, tally: &mut Tally) -> Result<()> {
        let flows = self.flows.borrow();
        flows.wait_for_spill(patience);
        flows.consume_spill(usize::MAX, |record| add(tally, &record.entry, addresses_of(record)))?;
        Ok(())
    }

    fn read(&mut self, _: Duration, tally: &mut Tally) -> Result<()> {
        self.drain(tally)
    }

    /// The generation that was written last: nobody writes the next one, and each before it has been read.
    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        self.drain(tally)?;
        Ok(std::mem::take(&mut self.losses))
    }
}

/// A spilled record has room for both addresses, whether it is of IPv6 or not.
fn addresses_of(record: &SpillRecord) -> Option<&FlowAddresses> {
    (u32::from(record.entry.link) & LINK_IPV6 != 0).then_some(&record.addresses)
}

struct Count<'a> {
    tally: &'a mut Tally,
    losses: &'a mut Losses,
}

impl Visitor for Count<'_> {
    fn flow(&mut self, seen: Seen<'_>) {
        add(self.tally, seen.entry, seen.addresses);
    }

    fn cell(&mut self, _: u16, cell: &LedgerCell) {
        let causes = [("spill ring full", cell.lost_spill_packets), ("nested", cell.lost_nested_packets)];
        for (cause, packets) in causes.into_iter().filter(|(_, packets)| *packets > 0) {
            *self.losses.entry(cause).or_default() += packets;
        }
    }
}

fn add(tally: &mut Tally, entry: &FlowEntry, addresses: Option<&FlowAddresses>) {
    let addresses = addresses.map_or([entry.addresses, 0, 0, 0], |both| {
        [both.source[0], both.source[1], both.destination[0], both.destination[1]]
    });
    let mut ports = [0; 8];
    ports[..2].copy_from_slice(&entry.source_port.to_ne_bytes());
    ports[2..4].copy_from_slice(&entry.destination_port.to_ne_bytes());
    ports[4..6].copy_from_slice(&entry.link.to_ne_bytes());
    ports[6..].copy_from_slice(&entry.point.to_ne_bytes());
    let key = [
        addresses[0],
        addresses[1],
        addresses[2],
        addresses[3],
        u64::from_ne_bytes(ports),
        entry.protocol.into(),
    ];
    let counters = Counters { packets: entry.packets, bytes: entry.bytes, last: entry.last.into() };
    tally.add(key, counters);
}
