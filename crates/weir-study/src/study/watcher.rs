//! Whoever watches the far end's device while packets come by.

use crate::arms::readers::{Losses, Pace};
use crate::arms::{Arm, Spec, Tally};
use crate::lab::Lab;
use crate::results::NONE;
use anyhow::Result;
use std::time::Duration;
use weir_kernel::Attachment;

/// One arm, ready to watch again and again.
pub struct Watcher {
    who: Who,
    tally: Tally,
}

enum Who {
    Nobody,
    /// One of our programs, and its hooks while it watches.
    Program(Box<Arm>, Option<[Attachment; 2]>),
}

/// What a watcher says at the end, beside what it has handed out.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Packets lost, by cause.
    pub losses: Losses,
    /// What another program says that it has seen: flows and packets.
    pub reported: (Option<u64>, Option<u64>),
    /// CPU time of another program.
    pub cpu: Duration,
}

impl Watcher {
    /// Loads what `spec` is made of.
    ///
    /// # Errors
    /// This kernel or this host does not have it.
    pub fn new(spec: &Spec) -> Result<Self> {
        let who = match spec.name {
            NONE => Who::Nobody,
            _ => Who::Program(Box::new(Arm::load(spec)?), None),
        };
        Ok(Self { who, tally: Tally::default() })
    }

    /// Begins to watch, with nothing counted.
    pub fn attach(&mut self, lab: &Lab) -> Result<()> {
        self.tally.reset();
        match &mut self.who {
            Who::Nobody => {}
            Who::Program(arm, attached) => {
                *attached = Some(lab.far().inside(|| arm.attach(lab.far_index()))?);
            }
        }
        Ok(())
    }

    /// When our thread is to read meanwhile; nothing where there is nothing to read.
    pub fn pace(&mut self) -> Option<Pace> {
        match &mut self.who {
            Who::Nobody => None,
            Who::Program(arm, _) => arm.reader().map(|reader| reader.pace()),
        }
    }

    /// Reads what is there; waits for `patience` at most.
    pub fn read(&mut self, patience: Duration) -> Result<()> {
        match &mut self.who {
            Who::Nobody => Ok(()),
            Who::Program(arm, _) => {
                arm.reader().map_or(Ok(()), |reader| reader.read(patience, &mut self.tally))
            }
        }
    }

    /// Reads all that is left. Losses that the reader knows of.
    pub fn finish(&mut self) -> Result<Losses> {
        match &mut self.who {
            Who::Nobody => Ok(Losses::new()),
            Who::Program(arm, _) => {
                arm.reader().map_or(Ok(Losses::new()), |reader| reader.finish(&mut self.tally))
            }
        }
    }

    /// Ends to watch.
    pub fn detach(&mut self, lab: &Lab) -> Result<Outcome> {
        match &mut self.who {
            Who::Nobody => Ok(Outcome::default()),
            Who::Program(arm, attached) => {
                lab.far().inside(|| {
                    drop(attached.take());
                    Ok(())
                })?;
                let lost = arm.newly_lost();
                let losses = if lost > 0 { Losses::from([("no room", lost)]) } else { Losses::new() };
                Ok(Outcome { losses, ..Outcome::default() })
            }
        }
    }

    /// What was handed out.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The program, where there is one of ours.
    pub fn arm(&mut self) -> Option<&mut Arm> {
        match &mut self.who {
            Who::Program(arm, _) => Some(arm),
            Who::Nobody => None,
        }
    }
}
