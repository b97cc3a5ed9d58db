//! What the kernel throws away.

use super::Source;
use super::heard::{At, Heard};
use crate::Result;
use crate::drops::{Loss, Reader};
use crate::interfaces::Inventory;
use crate::interfaces::NOWHERE;
use std::time::{Duration, Instant};
use weir_kernel::clock;
use weir_record::{Dropped, Drops, Happening};

/// How long drops of one kind are counted together. To read them takes a grace period.
const TOGETHER: Duration = Duration::from_millis(250);

/// The drops probe, and the kernel's counters.
pub struct DropSource {
    reader: Reader,
    read: Instant,
}

impl DropSource {
    /// Attached.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach() -> Result<Self> {
        Ok(Self { reader: Reader::attach()?, read: Instant::now() })
    }
}

impl Source for DropSource {
    fn probe(&self) -> &'static str {
        "drops"
    }

    fn hear(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<()> {
        let time = clock::monotonic()?.as_nanos() as u64;
        let tell = |loss| heard(understood(loss, time));
        if self.read.elapsed() < TOGETHER {
            return self.reader.relieve(tell);
        }
        self.read = Instant::now();
        self.reader.hear(tell)
    }

    fn look(&mut self, inventory: &Inventory, heard: &mut dyn FnMut(Heard)) -> Result<()> {
        let time = clock::monotonic()?.as_nanos() as u64;
        let namespaces = inventory.namespaces().map(|(namespace, _)| namespace);
        self.reader.count(namespaces, |loss| heard(understood(loss, time)));
        Ok(())
    }

    fn lost(&self) -> Result<u64> {
        Ok(self.reader.told().1)
    }

    fn cause(&self) -> &'static str {
        "no_room"
    }
}

fn understood(loss: Loss, time: u64) -> Heard {
    let Loss { source, reason, location, netns, ifindex, direction, flow, count, .. } = loss;
    let dropped = Dropped { packets: count.packets, bytes: count.bytes, reasons: Some(reason) };
    Heard {
        time,
        netns: if netns == NOWHERE { 0 } else { netns },
        ends: None,
        at: Some(At { is_known: netns != NOWHERE, ifindex, direction, flow, dropped }),
        users: [None, None],
        happening: Happening::Drop(Drops { source, location }),
    }
}
