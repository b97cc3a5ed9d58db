//! The agent's interfaces: watched as they come, retired when they are gone.

#[cfg(test)]
mod tests;

use super::Agent;
use crate::interfaces::{Change, Link};
use crate::posts::Hung;
use crate::{Error, HookChoice, Outlet, Result, Selection};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::{Attachment, Hook};
use weir_probes::flows::{InterfaceId, Points};
use weir_record::{Interface, InterfaceKind, Layer};

/// Programs are hung for this long at a time: for each the kernel waits for a grace period, some
/// 10 ms, and a hundred new interfaces shall not keep the agent from its drain.
const TURN: Duration = Duration::from_millis(50);

/// An interface that is being watched.
pub(super) struct Watched {
    pub(super) interface: Arc<Interface>,
    serial: u64,
    points: Points,
    pub(super) hung: Hung,
    /// When they were attached.
    pub(super) since: Instant,
}

/// An observation point whose interface is gone.
struct Retiring {
    point: u16,
    /// Since the programs were taken off. A packet may still have been on its way into the
    /// second generation: its last ones come out with the first two.
    drains: u32,
}

/// What is watched, and what is no longer.
#[derive(Default)]
pub(super) struct Following {
    pub(super) watched: BTreeMap<InterfaceId, Watched>,
    retiring: Vec<Retiring>,
    /// By number and serial: could not be watched; said once.
    refused: BTreeSet<(InterfaceId, u64)>,
    /// Some found no observation point free; said once, tried again.
    crowded: bool,
    /// Some could not be reached; tried again.
    unreached: bool,
    /// There is more to do, at once.
    behind: bool,
    /// Notifications were lost.
    doubt: bool,
    /// Accounts were opened, closed or renamed.
    others: bool,
}

impl Following {
    /// Whether there is more to do, at once.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether accounts were opened, closed or renamed since this was last asked.
    pub(super) fn are_others(&mut self) -> bool {
        std::mem::take(&mut self.others)
    }

    /// The names of what is watched, and in how many network namespaces it is.
    pub(super) fn names(&self) -> (Vec<String>, usize) {
        let namespaces: BTreeSet<_> = self.watched.keys().map(|id| id.netns).collect();
        (self.watched.values().map(|watched| watched.interface.to_string()).collect(), namespaces.len())
    }
}

impl Agent {
    pub(super) fn attach_first(&mut self, found: &[Link]) -> Result<Vec<String>> {
        let mut remarks = Vec::new();
        for link in found {
            let index = link.id.index;
            let programs = self.flows.programs();
            let swept = self.inventory.namespace(link.id).map(|netns| netns.enter(|| programs.sweep(index)));
            if let Some(Ok(swept @ 1..)) = swept {
                remarks.push(format!("{}: removed {swept} filters of a killed agent", link.interface));
            }
            if let Err(error) = self.watch(link) {
                if !self.is_gone(link, &error)? {
                    return Err(error);
                }
                remarks.push(format!("{}: vanished before it could be watched", link.interface));
            }
        }
        while self.post() {}
        remarks.extend(self.identity.remarks());
        Ok(remarks)
    }

    /// DNS is listened to where packets are counted. Whether there is more to do.
    fn post(&mut self) -> bool {
        let Self { identity, inventory, following, .. } = self;
        identity.post(inventory, |id| following.watched.contains_key(&id))
    }

    /// Watches one interface; on failure nothing is left on it.
    fn watch(&mut self, link: &Link) -> Result<()> {
        let points = self.open_points(link)?;
        let attached = self
            .flows
            .watch(link.id, points, link.link_layer)
            .and_then(|()| self.attach_both(link.id))
            .map_err(|source| Error::Attach { interface: link.interface.to_string(), source });
        match attached {
            Ok(attachments) => {
                let hung = Hung::new(attachments);
                let (interface, serial) = (Arc::clone(&link.interface), link.serial);
                let watched = Watched { interface, serial, points, hung, since: Instant::now() };
                self.following.watched.insert(link.id, watched);
                self.following.others = true;
                Ok(())
            }
            Err(error) => {
                points.each().for_each(|point| self.books.cancel(point));
                self.flows.forget(link.id)?;
                Err(error)
            }
        }
    }

    /// The numbers of its observation points, which the rules know from now on.
    fn open_points(&mut self, link: &Link) -> Result<Points> {
        let full = || Error::NoRoom { interface: link.interface.to_string() };
        let outer = self.books.open(&link.interface, Layer::Outer).ok_or_else(full)?;
        let inner =
            if self.settings.decapsulate { self.books.open(&link.interface, Layer::Inner) } else { Some(0) };
        let Some(inner) = inner else {
            self.books.cancel(outer);
            return Err(full());
        };
        let points = Points { outer, inner };
        let domain = self.inventory.domain(link.id);
        points.each().for_each(|point| self.table.set_domain(point, domain));
        self.admit(points, &link.interface)
            .inspect_err(|_| points.each().for_each(|point| self.books.cancel(point)))?;
        Ok(points)
    }

    fn attach_both(&mut self, id: InterfaceId) -> weir_kernel::Result<Vec<Attachment>> {
        match self.hang(id) {
            Err(error) if self.falls_back(&error) => {
                self.hook = Hook::Clsact;
                self.hang(id)
            }
            outcome => outcome,
        }
    }

    fn hang(&self, id: InterfaceId) -> weir_kernel::Result<Vec<Attachment>> {
        let gone = || io::Error::from_raw_os_error(Errno::ENODEV as i32);
        let cannot_enter = |error: io::Error| {
            // A door that has closed leads nowhere any more: the namespace is gone.
            let error = if error.kind() == io::ErrorKind::NotFound { gone() } else { error };
            weir_kernel::Error::kernel("cannot enter its network namespace", error)
        };
        let namespace = self.inventory.namespace(id).ok_or_else(|| cannot_enter(gone()))?;
        let (programs, place) = (self.flows.programs(), (self.hook, self.settings.position));
        namespace.enter(|| programs.attach(id.index, place)).map_err(cannot_enter)?
    }

    fn falls_back(&self, error: &weir_kernel::Error) -> bool {
        self.settings.hook == HookChoice::Auto
            && self.hook == Hook::Tcx
            && self.following.watched.is_empty()
            && weir_kernel::is_tcx_missing(error)
    }

    /// Whether each part of `selection` fits an interface. Nothing is changed.
    ///
    /// # Errors
    /// One does not.
    pub(super) fn check_selection(&mut self, selection: &Selection) -> Result<()> {
        if !selection.addresses.is_empty() {
            self.inventory.attend_addresses()?;
            self.inventory.survey()?;
        }
        selection.choose(self.inventory.links()).map(drop)
    }

    /// Watches other interfaces from now on: a selection that has been
    /// [checked](Self::check_selection).
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn select(&mut self, selection: Selection, outlet: &mut Outlet) -> Result<()> {
        self.settings.selection = selection;
        self.following.refused.clear();
        self.catch_up(Change::Uncertain, outlet)
    }

    /// Lets go of interfaces that are gone, watches new ones.
    pub(super) fn follow(&mut self, outlet: &mut Outlet) -> Result<()> {
        let change = self.inventory.refresh()?;
        let remarks = self.nat.follow(&self.inventory, &mut self.table);
        remarks.into_iter().for_each(|remark| self.notice(remark));
        let Following { crowded, unreached, behind, doubt, .. } = self.following;
        if change == Change::None && !(crowded || unreached || behind || doubt) {
            return Ok(());
        }
        self.catch_up(change, outlet)
    }

    /// Follows the observation domains. What was counted until now was counted in the old ones.
    fn regroup(&mut self, outlet: &mut Outlet) -> Result<()> {
        let Self { following, inventory, table, .. } = self;
        let moves = following.watched.iter().filter_map(|(id, watched)| {
            let domain = inventory.domain(*id);
            (table.domain(watched.points.outer) != domain).then_some((watched, domain))
        });
        let moves: Vec<_> =
            moves.map(|(watched, domain)| (watched.interface.kind, watched.points, domain)).collect();
        // Nothing passes from one `lo` to another: that of a namespace that is being set up can wait.
        if moves.iter().any(|(kind, ..)| *kind != InterfaceKind::Loopback) {
            self.drain(outlet)?;
        }
        for (_, points, domain) in moves {
            points.each().for_each(|point| self.table.set_domain(point, domain));
        }
        Ok(())
    }

    fn catch_up(&mut self, change: Change, outlet: &mut Outlet) -> Result<()> {
        self.identity.place(&self.inventory);
        self.drops.place(&self.inventory);
        let doubt = std::mem::take(&mut self.following.doubt) || change == Change::Uncertain;
        self.let_go(doubt)?;
        if doubt {
            self.identity.look_again(&self.inventory);
        }
        self.regroup(outlet)?;
        // In the new domains; and before the first packets of a new namespace.
        let remarks = self.nat.place(&self.inventory, &mut self.table);
        remarks.into_iter().for_each(|remark| self.notice(remark));
        let was_crowded = std::mem::take(&mut self.following.crowded);
        (self.following.unreached, self.following.behind) = (false, false);
        let wanted = self.inventory.links().filter(|link| self.settings.selection.wants(link));
        let news: Vec<_> = wanted.filter(|link| self.is_news(link)).cloned().collect();
        let turn = Instant::now() + TURN;
        for link in news {
            if let Some(watched) = self.following.watched.get_mut(&link.id) {
                watched.interface = Arc::clone(&link.interface);
                let points = watched.points;
                points.each().for_each(|point| self.books.rename(point, &link.interface));
                self.following.others = true;
                // Rules may mean it by its name.
                if let Err(error) = self.admit(points, &link.interface) {
                    self.books.notice(format!("{}: rules know it by its old name: {error}", link.interface));
                }
            } else if Instant::now() < turn {
                self.watch_news(&link, was_crowded)?;
            } else {
                self.following.behind = true;
            }
        }
        self.following.behind |= self.post();
        Ok(())
    }

    /// Watches an interface that has come while the agent runs, or says why not.
    fn watch_news(&mut self, link: &Link, was_crowded: bool) -> Result<()> {
        match self.watch(link) {
            Ok(()) => {}
            Err(error @ Error::NoRoom { .. }) => {
                if !was_crowded && !self.following.crowded {
                    self.books.notice(error.to_string());
                }
                self.following.crowded = true;
            }
            // It comes and goes faster than we look; or its namespace has closed one door, not all.
            Err(error) if self.is_gone(link, &error)? => self.following.unreached |= link.id.netns != 0,
            Err(error) => {
                self.books.notice(format!("not watched: {error}"));
                self.following.refused.insert((link.id, link.serial));
            }
        }
        Ok(())
    }

    /// Whether an interface could not be watched because it is gone. The end of one is notified
    /// before the kernel refuses to attach to it.
    fn is_gone(&mut self, link: &Link, error: &Error) -> Result<bool> {
        let change = self.inventory.refresh()?;
        self.following.behind |= change != Change::None;
        self.following.doubt |= change == Change::Uncertain;
        let is_there = self.inventory.link(link.id).is_some_and(|now| now.serial == link.serial);
        let Error::Attach { source, .. } = error else { return Ok(false) };
        Ok(!is_there || source.errno() == Some(Errno::ENODEV as i32))
    }

    fn is_news(&self, link: &Link) -> bool {
        let known = self.following.watched.get(&link.id);
        !self.following.refused.contains(&(link.id, link.serial))
            && known.is_none_or(|known| known.interface != link.interface)
    }

    /// Takes the programs off what is gone or no longer wanted. `doubt` whether what has the
    /// same number is the same.
    fn let_go(&mut self, doubt: bool) -> Result<()> {
        let Self { inventory, settings, following, flows, .. } = self;
        let is_there = |id: InterfaceId, serial| inventory.link(id).filter(|link| link.serial == serial);
        following.refused.retain(|(id, serial)| is_there(*id, *serial).is_some());
        let stays = |id: &InterfaceId, watched: &Watched| {
            is_there(*id, watched.serial).is_some_and(|link| settings.selection.wants(link))
                && (!doubt || watched.hung.is_attached(inventory.namespace(*id)))
        };
        let over: Vec<_> = following.watched.extract_if(.., |id, watched| !stays(id, watched)).collect();
        for (id, mut watched) in over {
            watched.hung.detach(inventory.namespace(id));
            flows.forget(id)?;
            following.retiring.extend(watched.points.each().map(|point| Retiring { point, drains: 0 }));
        }
        Ok(())
    }

    /// Takes all programs off.
    pub(super) fn detach_all(&mut self) {
        let Self { inventory, following, .. } = self;
        for (id, watched) in &mut following.watched {
            watched.hung.detach(inventory.namespace(*id));
        }
        self.identity.post(&self.inventory, |_| false);
    }

    /// Ends the flows of interfaces that are gone, and closes their accounts when the last
    /// record is out.
    pub(super) fn retire(&mut self, outlet: &mut Outlet) {
        let following = &mut self.following;
        following.retiring.iter_mut().for_each(|one| one.drains += 1);
        let over: BTreeSet<_> =
            following.retiring.iter().filter(|one| one.drains >= 2).map(|one| one.point).collect();
        if over.is_empty() {
            return;
        }
        let of_them = |point: u16| over.contains(&(point & !1));
        let (table, mut exit) = self.exit(outlet);
        table.force(of_them, |ending| exit.take(ending));
        let Self { books, following, .. } = self;
        following.retiring.retain(|one| {
            let settled = over.contains(&one.point) && books.is_settled(one.point);
            if settled {
                books.close(one.point);
            }
            !settled
        });
    }
}
