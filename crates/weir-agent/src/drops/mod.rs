//! Drops: packets that the kernel has thrown away, joined with the records of their flows.
//!
//! ```text
//! drops probe (kfree_skb) ──► reader ──► book ──► records
//! kernel's counters ───────────┘  └────► sums ──► status
//! ```

mod book;
mod counters;
mod loss;
mod names;
mod places;
mod reader;
mod state;
mod symbols;
#[cfg(test)]
mod tests;

use crate::interfaces::Inventory;
use crate::{Result, Settings};
use book::Book;
pub(crate) use loss::Loss;
use places::Places;
pub(crate) use reader::Reader;
use state::Sums;
pub use state::{DropReason, DropsState};
use std::time::Instant;
use weir_kernel::Loaded;
use weir_probes::drops::PROGRAM;
use weir_record::{FlowRecord, ProbeAccount};

/// Flows whose drops wait for a record: about 200 bytes each.
const FLOWS: usize = 65_536;

/// What was dropped.
pub struct Drops {
    reader: Option<Reader>,
    book: Book,
    sums: Sums,
    places: Places,
    /// That is said once.
    has_remarked: bool,
}

impl Drops {
    /// Attaches the probe, if that is wanted; where it is refused, a line says so.
    pub fn open(settings: &Settings) -> (Self, Option<String>) {
        let linger = settings.active_timeout + settings.idle_timeout + 3 * settings.interval;
        let mut drops = Self {
            reader: None,
            book: Book::new(FLOWS, linger),
            sums: Sums::default(),
            places: Places::default(),
            has_remarked: false,
        };
        if !settings.drops {
            return (drops, None);
        }
        match Reader::attach() {
            Ok(reader) => {
                let is_mute = !reader.probe().gives_reasons();
                drops.reader = Some(reader);
                (drops, is_mute.then(|| WITHOUT_REASONS.into()))
            }
            Err(error) => (drops, Some(format!("drops stay unknown: {error}"))),
        }
    }

    /// Where interfaces are from now on.
    pub fn place(&mut self, inventory: &Inventory) {
        if self.reader.is_some() {
            self.places = Places::of(inventory);
        }
    }

    /// Makes room in the kernel, if so much is dropped that there may be none before the next drain.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn relieve(&mut self) -> Result<()> {
        let Self { reader: Some(reader), book, sums, .. } = self else { return Ok(()) };
        let now = Instant::now();
        reader.relieve(|loss| {
            sums.add(&loss);
            book.add(&loss, now);
        })
    }

    /// Takes in what was dropped since the last time, and forgets what no record has asked for.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, inventory: &Inventory) -> Result<()> {
        let Self { reader: Some(reader), book, sums, .. } = self else { return Ok(()) };
        let now = Instant::now();
        reader.hear(|loss| {
            sums.add(&loss);
            book.add(&loss, now);
        })?;
        reader.count(inventory.namespaces().map(|(namespace, _)| namespace), |loss| sums.add(&loss));
        book.expire(now);
        Ok(())
    }

    /// What there is to be said, once.
    pub fn remark(&mut self) -> Option<String> {
        let remark = self.reader.as_ref()?.remark().filter(|_| !self.has_remarked)?;
        self.has_remarked = true;
        Some(remark.into())
    }

    /// Enters into a record that leaves what was dropped of its flow.
    pub fn claim(&mut self, record: &mut FlowRecord) {
        if self.reader.is_some() {
            record.dropped = Some(self.book.take(record, &self.places));
        }
    }

    /// The same, of one that stays.
    pub fn show(&self, record: &mut FlowRecord) {
        if self.reader.is_some() {
            record.dropped = Some(self.book.look(record, &self.places));
        }
    }

    /// What can be said of it.
    pub fn state(&self) -> DropsState {
        let Some(reader) = &self.reader else { return DropsState::default() };
        let (_, lost) = reader.told();
        DropsState {
            hooks: "tracepoint".into(),
            waiting_flows: self.book.len() as u64,
            unclaimed_packets: self.book.unclaimed(),
            evicted_packets: self.book.evicted() + self.sums.flowless(),
            lost_packets: lost,
            ..self.sums.state()
        }
    }

    /// What the probe has told, and what of it was lost.
    pub fn account(&self) -> Option<ProbeAccount> {
        let (events, lost_events) = self.reader.as_ref()?.told();
        let evicted = self.book.evicted() + self.sums.flowless();
        Some(ProbeAccount { probe: "drops", events, lost_events, evicted })
    }

    /// The program that runs, for its statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        self.reader.iter().map(|reader| (reader.probe().loaded(), PROGRAM))
    }
}

const WITHOUT_REASONS: &str = "drops have no reasons, only places: the kernel gives none before Linux 5.17";
