//! All that the kernel says of losses.

use super::counters::Counters;
use super::loss::Loss;
use super::names::Names;
use crate::Result;
use crate::interfaces::Namespace;
use weir_probes::drops::Drops as Probe;
use weir_probes::flows::own_netns;

/// Elements in a generation of the probe's that should not wait for the next drain: half of those that there are.
const MANY: u32 = 16_384;

/// The probe, and the counters beside it.
pub struct Reader {
    probe: Probe,
    own_netns: u32,
    names: Names,
    counters: Counters,
    /// Packets that were told of.
    events: u64,
}

impl Reader {
    /// Attaches the probe.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach() -> Result<Self> {
        let probe = Probe::attach()?;
        let (names, counters) = (Names::read(), Counters::default());
        Ok(Self { probe, own_netns: own_netns(), names, counters, events: 0 })
    }

    /// Tells what was dropped since the last time.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, mut tell: impl FnMut(Loss)) -> Result<()> {
        let Self { probe, own_netns, names, events, .. } = self;
        probe.drain(|key, count| {
            *events += count.packets;
            tell(Loss::of_packets(key, count, *own_netns, names));
        })?;
        Ok(())
    }

    /// As [`hear`](Self::hear), if so much was dropped that there may be no room for more.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn relieve(&mut self, tell: impl FnMut(Loss)) -> Result<()> {
        if self.probe.waiting()? < MANY { Ok(()) } else { self.hear(tell) }
    }

    /// Tells what the counters of these namespaces say of losses, at most twice a second.
    pub fn count<'a>(&mut self, namespaces: impl Iterator<Item = &'a Namespace>, tell: impl FnMut(Loss)) {
        self.counters.read(namespaces, tell);
    }

    /// The probe itself.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Packets that were counted, and those that could not be.
    pub fn told(&self) -> (u64, u64) {
        (self.events, self.probe.lost().unwrap_or(0))
    }

    /// What a user should know now.
    pub fn remark(&self) -> Option<&'static str> {
        if self.names.are_hidden() { Some(HIDDEN) } else { None }
    }
}

const HIDDEN: &str = "places of drops are addresses, not functions: the kernel hides /proc/kallsyms (sysctl kernel.kptr_restrict=1, CAP_SYSLOG)";
