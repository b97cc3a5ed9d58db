//! The way out of the agent: a record that ends.

use super::Agent;
use super::recent::Recent;
use crate::conversations::{Ending, Table, record};
use crate::drops::Drops;
use crate::identity::Identity;
use crate::policy::Selector;
use crate::tcp::Health;
use crate::{Books, Outlet};

/// All that has a say in what becomes of it.
pub(super) struct Exit<'a> {
    selector: &'a Selector,
    identity: &'a Identity,
    drops: &'a mut Drops,
    health: &'a mut Health,
    recent: &'a mut Recent,
    outlet: &'a mut Outlet,
    books: &'a mut Books,
}

impl Exit<'_> {
    /// Out, unless the filter does not want it.
    pub fn take(&mut self, ending: Ending<'_>) {
        let Some(mut record) = record(ending, self.books) else { return };
        self.identity.attribute(&mut record);
        self.drops.claim(&mut record);
        self.health.attribute(&mut record);
        self.recent.add(&record);
        if self.selector.writes(&record) {
            self.outlet.push(record, self.books);
        } else {
            self.books.filter_out(&record);
        }
    }
}

impl Agent {
    /// The conversations, and where those go that end.
    pub(super) fn exit<'a>(&'a mut self, outlet: &'a mut Outlet) -> (&'a mut Table, Exit<'a>) {
        let Self { table, selector, identity, drops, health, recent, books, .. } = self;
        (table, Exit { selector, identity, drops, health, recent, outlet, books })
    }
}
