//! Whoever watches the far end's device while packets come by.

use crate::arms::readers::{Losses, Reader};
use crate::arms::{Arm, Spec};
use crate::lab::Lab;
use crate::results::NONE;
use anyhow::Result;
use std::time::Duration;
use weir_kernel::Attachment;

/// What is known of a slice when nobody watches any more, beside what a reader has read.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Packets lost, by cause.
    pub losses: Losses,
    /// What another program says that it has seen: flows and packets.
    pub reported: Option<(Option<u64>, Option<u64>)>,
    /// CPU time of another program.
    pub cpu: Duration,
}

/// One arm, ready to watch again and again.
pub enum Watcher {
    /// Nobody.
    Nobody,
    /// One of our programs.
    Program {
        /// Its program and maps.
        arm: Box<Arm>,
        /// While it watches.
        attached: Option<[Attachment; 2]>,
    },
}

impl Watcher {
    /// Loads what `spec` is made of.
    ///
    /// # Errors
    /// This kernel or this host does not have it.
    pub fn new(spec: &Spec) -> Result<Self> {
        if spec.name == NONE {
            return Ok(Self::Nobody);
        }
        Ok(Self::Program { arm: Box::new(Arm::load(spec)?), attached: None })
    }

    /// Begins to watch.
    pub fn attach(&mut self, lab: &Lab) -> Result<()> {
        if let Self::Program { arm, attached } = self {
            *attached = Some(lab.far().inside(|| arm.attach(lab.far_index()))?);
        }
        Ok(())
    }

    /// Who reads meanwhile, on our own thread.
    pub fn reader(&mut self) -> Option<&mut (dyn Reader + 'static)> {
        match self {
            Self::Program { arm, .. } => arm.reader(),
            Self::Nobody => None,
        }
    }

    /// Ends to watch.
    pub fn detach(&mut self, lab: &Lab) -> Result<Outcome> {
        match self {
            Self::Nobody => Ok(Outcome::default()),
            Self::Program { arm, attached } => {
                lab.far().inside(|| Ok(drop(attached.take())))?;
                let lost = arm.newly_lost();
                let losses = if lost > 0 { Losses::from([("no room", lost)]) } else { Losses::new() };
                Ok(Outcome { losses, ..Outcome::default() })
            }
        }
    }

    /// The program, where there is one of ours.
    pub fn arm(&mut self) -> Option<&mut Arm> {
        match self {
            Self::Program { arm, .. } => Some(arm),
            Self::Nobody => None,
        }
    }
}
