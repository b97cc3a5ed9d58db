//! Listens to the DNS answers that this host receives.

use super::answers::Answers;
use super::message::{self, Malformed};
use crate::Result;
use crate::identity::unix_now;
use weir_kernel::{DnsMessage, clock};
use weir_probes::dns::Dns;

/// Addresses whose names are remembered.
const ADDRESSES: usize = 65_536;
/// Answers that are taken at a time; more than the ring holds.
const AT_A_TIME: usize = 4096;

/// The probe, and what it has told.
pub struct Listener {
    pub probe: Dns,
    pub answers: Answers,
    /// Answers that were heard.
    pub heard: u64,
    /// Answers that could not be read.
    pub malformed: u64,
}

impl Listener {
    /// Attaches the probe.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach(ports: &[u16]) -> Result<Self> {
        Ok(Self { probe: Dns::attach(ports)?, answers: Answers::new(ADDRESSES), heard: 0, malformed: 0 })
    }

    /// Takes in what the kernel has said meanwhile.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self) -> Result<()> {
        let Self { probe, answers, heard, malformed } = self;
        let booted = unix_now().saturating_sub(clock::monotonic()?.as_nanos() as u64);
        probe.consume(AT_A_TIME, |one| match message::read(bytes(one)) {
            Ok(all) => {
                *heard += 1;
                all.into_iter().for_each(|answer| answers.learn(answer, booted + one.time));
            }
            Err(Malformed) => *malformed += 1,
        })?;
        Ok(())
    }

    /// Answers that the kernel's ring had no room for.
    pub fn lost(&self) -> u64 {
        self.probe.lost().unwrap_or(0)
    }
}

/// What there is of a message. One that was cut is shorter than it says of itself.
fn bytes(message: &DnsMessage) -> &[u8] {
    &message.bytes[..(message.length as usize).min(message.bytes.len())]
}
