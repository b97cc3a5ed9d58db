//! The agent's interfaces: watched as they come, retired when they are gone.

use super::{Agent, export};
use crate::interfaces::Found;
use crate::{Error, HookChoice, Outlet, Result};
use std::sync::Arc;
use std::time::Instant;
use weir_kernel::{Attachment, Direction, Hook};
use weir_probes::flows::{Flows, InterfaceId, Points};
use weir_record::Interface;

/// An interface that is being watched.
pub(super) struct Watched {
    pub(super) interface: Arc<Interface>,
    point: u16,
    /// Dropped, and with them the programs taken off, when the interface is gone.
    pub(super) attachments: Vec<Attachment>,
    /// When they were attached.
    pub(super) since: Instant,
    /// Drains since the interface was found gone; its last packets come out with the first two.
    gone_for: Option<u32>,
}

impl Watched {
    /// Takes the programs off.
    pub(super) fn detach(&mut self) {
        self.attachments.clear();
    }
}

impl Agent {
    pub(super) fn attach_first(&mut self, found: &[Found]) -> Result<Vec<String>> {
        let mut remarks = Vec::new();
        for one in found {
            let swept = self.flows.sweep(one.interface.index)?;
            if swept > 0 {
                remarks.push(format!("{}: removed {swept} filters of a killed agent", one.interface.name));
            }
            match self.watch(one) {
                Ok(()) => {}
                Err(Error::Attach { source, .. }) if is_gone(&source) => {
                    remarks.push(format!("{}: vanished before it could be watched", one.interface.name));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(remarks)
    }

    /// Watches one interface; on failure nothing is left on it.
    fn watch(&mut self, found: &Found) -> Result<()> {
        let interface = Arc::new(found.interface.clone());
        let Some(point) = self.books.open(&interface) else {
            let what = format!("the ledger has no room for {}: raise --memory-budget", interface.name);
            return Err(weir_kernel::Error::Unexpected(what).into());
        };
        self.flows.watch(id(interface.index), Points { outer: point, inner: 0 }, found.link_layer)?;
        let attachments = match self.attach_both(interface.index) {
            Ok(attachments) => attachments,
            Err(source) => {
                self.flows.forget(id(interface.index))?;
                self.books.cancel(point);
                return Err(Error::Attach { interface: interface.name.clone(), source });
            }
        };
        let index = interface.index;
        let since = Instant::now();
        self.watched.insert(index, Watched { interface, point, attachments, since, gone_for: None });
        Ok(())
    }

    fn attach_both(&mut self, ifindex: u32) -> weir_kernel::Result<Vec<Attachment>> {
        let both = |flows: &Flows, hook| {
            [Direction::Ingress, Direction::Egress]
                .into_iter()
                .map(|direction| flows.attach(ifindex, direction, (hook, self.settings.position)))
                .collect::<weir_kernel::Result<Vec<_>>>()
        };
        match both(&self.flows, self.hook) {
            Err(error) if self.falls_back(&error) => {
                self.hook = Hook::Clsact;
                both(&self.flows, self.hook)
            }
            outcome => outcome,
        }
    }

    fn falls_back(&self, error: &weir_kernel::Error) -> bool {
        self.settings.hook == HookChoice::Auto
            && self.hook == Hook::Tcx
            && self.watched.is_empty()
            && weir_kernel::is_tcx_missing(error)
    }

    /// Retires interfaces that are gone, watches new ones.
    pub(super) fn follow_interfaces(&mut self, outlet: &mut Outlet) -> Result<()> {
        let found = self.settings.selection.find()?;
        self.retire(&found, outlet)?;
        for one in &found {
            let index = one.interface.index;
            if self.watched.contains_key(&index) || self.refused.contains(&index) {
                continue;
            }
            match self.watch(one) {
                Ok(()) => {}
                // It comes and goes faster than we look.
                Err(Error::Attach { source, .. }) if is_gone(&source) => {}
                Err(error) => {
                    self.books.notice(format!("{}: not watched: {error}", one.interface.name));
                    self.refused.push(index);
                }
            }
        }
        Ok(())
    }

    fn retire(&mut self, found: &[Found], outlet: &mut Outlet) -> Result<()> {
        self.refused.retain(|index| found.iter().any(|one| one.interface.index == *index));
        let mut over = Vec::new();
        for (index, watched) in &mut self.watched {
            let now = found.iter().find(|one| one.interface.index == *index);
            match (watched.gone_for, now) {
                (None, Some(one)) if one.interface != *watched.interface => {
                    watched.interface = Arc::new(one.interface.clone());
                    self.books.rename(watched.point, &watched.interface);
                }
                (None, Some(_)) => {}
                (None, None) => {
                    watched.detach();
                    self.flows.forget(id(*index))?;
                    watched.gone_for = Some(0);
                }
                // Its last packets are in the generation that was written when it went.
                (Some(drains), _) if drains < 2 => watched.gone_for = Some(drains + 1),
                (Some(_), _) => over.push(*index),
            }
        }
        for index in over {
            self.export_gone(index, outlet);
        }
        Ok(())
    }

    fn export_gone(&mut self, index: u32, outlet: &mut Outlet) {
        let Self { table, books, watched, .. } = self;
        let Some(point) = watched.get(&index).map(|watched| watched.point) else { return };
        let of_it = |number| number == point || number == point + 1;
        let joining = table.joining();
        table.force(of_it, |ending| export(ending, joining, outlet, books));
        if books.is_settled(point) {
            books.close(point);
            watched.remove(&index);
        }
    }
}

fn id(index: u32) -> InterfaceId {
    InterfaceId { netns: 0, index }
}

fn is_gone(error: &weir_kernel::Error) -> bool {
    error.errno() == Some(nix::errno::Errno::ENODEV as i32)
}
