//! Whoever watches the far end's device while packets come by.

use crate::arms::readers::{Losses, Pace, Reader, Socket};
use crate::arms::{Arm, Spec, Tally};
use crate::lab::Lab;
use crate::programs::{Program, Watching};
use crate::results::NONE;
use anyhow::{Context, Result, bail};
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
    Ours(Box<Arm>, Option<[Attachment; 2]>),
    /// A packet socket, while it watches.
    Socket(Option<Socket>),
    /// Another program, while it runs.
    Program(Program, Option<Watching>),
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
    /// Nobody watches.
    pub fn nobody() -> Self {
        Self { who: Who::Nobody, tally: Tally::default() }
    }

    /// Loads what `spec` is made of.
    ///
    /// # Errors
    /// This kernel or this host does not have it.
    pub fn new(spec: &Spec) -> Result<Self> {
        let who = if spec.name == NONE {
            Who::Nobody
        } else if spec.name == "af-packet" {
            Who::Socket(None)
        } else if let Some(program) = Program::ALL.into_iter().find(|program| program.name() == spec.name) {
            if !program.installed() {
                bail!("not installed");
            }
            Who::Program(program, None)
        } else {
            Who::Ours(Box::new(Arm::load(spec)?), None)
        };
        Ok(Self { who, tally: Tally::default() })
    }

    /// Why it cannot watch such traffic in such a place, if so.
    pub fn objection(&self, lab: &Lab, ipv6: bool) -> Option<&'static str> {
        match self.who {
            Who::Program(..) | Who::Socket(_) if lab.stage().is_none() => {
                Some("measured on a veth pair only")
            }
            Who::Program(program, _) if ipv6 && !program.sees_ipv6() => Some("does not report IPv6"),
            _ => None,
        }
    }

    /// Begins to watch, with nothing counted.
    pub fn attach(&mut self, lab: &Lab) -> Result<()> {
        self.tally.reset();
        match &mut self.who {
            Who::Nobody => {}
            Who::Ours(arm, attached) => {
                *attached = Some(lab.inside(|| arm.attach(lab.index()))?);
            }
            Who::Socket(socket) => *socket = Some(lab.inside(|| Socket::new(lab.index()))?),
            Who::Program(program, watching) => {
                let (namespace, device) =
                    lab.stage().context("other programs are measured on a veth pair only")?;
                *watching = Some(program.start(namespace, device)?);
            }
        }
        Ok(())
    }

    /// When our thread is to read meanwhile; nothing where there is nothing to read.
    pub fn pace(&mut self) -> Option<Pace> {
        self.reader().map(|(reader, _)| reader.pace())
    }

    /// Reads what is there; waits for `patience` at most.
    pub fn read(&mut self, patience: Duration) -> Result<()> {
        self.reader().map_or(Ok(()), |(reader, tally)| reader.read(patience, tally))
    }

    /// Takes what cannot wait for the next read; waits for `patience` at most.
    pub fn relieve(&mut self, patience: Duration) -> Result<()> {
        self.reader().map_or(Ok(()), |(reader, tally)| reader.relieve(patience, tally))
    }

    /// Reads all that is left, where it reads at all. Losses that the reader knows of.
    pub fn finish(&mut self) -> Result<Option<Losses>> {
        self.reader().map(|(reader, tally)| reader.finish(tally)).transpose()
    }

    fn reader(&mut self) -> Option<(&mut dyn Reader, &mut Tally)> {
        let reader: &mut dyn Reader = match &mut self.who {
            Who::Ours(arm, _) => arm.reader()?,
            Who::Socket(socket) => socket.as_mut()?,
            Who::Nobody | Who::Program(..) => return None,
        };
        Some((reader, &mut self.tally))
    }

    /// Ends to watch.
    pub fn detach(&mut self, lab: &Lab) -> Result<Outcome> {
        match &mut self.who {
            Who::Nobody => Ok(Outcome::default()),
            Who::Ours(arm, attached) => {
                lab.inside(|| {
                    drop(attached.take());
                    Ok(())
                })?;
                let lost = arm.newly_lost();
                let losses = if lost > 0 { Losses::from([("no room", lost)]) } else { Losses::new() };
                Ok(Outcome { losses, ..Outcome::default() })
            }
            Who::Socket(socket) => {
                drop(socket.take());
                Ok(Outcome::default())
            }
            Who::Program(_, watching) => {
                let outcome = watching.take().context("it does not watch")?.stop()?;
                let reported = (outcome.flows, outcome.packets);
                Ok(Outcome { losses: outcome.lost, reported, cpu: outcome.cpu })
            }
        }
    }

    /// What was handed out.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Kernel memory that it takes.
    pub fn memory(&self) -> u64 {
        match &self.who {
            Who::Ours(arm, _) => arm.map_bytes(),
            Who::Socket(_) => Socket::MEMORY,
            Who::Nobody | Who::Program(..) => 0,
        }
    }

    /// The program, where there is one of ours.
    pub fn arm(&mut self) -> Option<&mut Arm> {
        match &mut self.who {
            Who::Ours(arm, _) => Some(arm),
            _ => None,
        }
    }
}
