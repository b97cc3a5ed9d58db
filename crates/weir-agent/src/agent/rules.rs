//! The policy at work: rules in the kernel, the filter at the way out.

use super::Agent;
use crate::policy::Selector;
use crate::{Dedup, Error, Outlet, Result, Settings};
use weir_filter::{Action, Rule};
use weir_probes::flows::rules::Room;
use weir_probes::flows::{Points, can_draw_by_content};
use weir_record::{Direction, Interface};

/// The selector that these settings ask for.
pub(super) fn selector(settings: &Settings, room: Room) -> Result<Selector> {
    let samples = |rule: &Rule| matches!(rule.action, Action::Allow { one_in } if one_in.get() > 1);
    if settings.joining.dedup != Dedup::Off
        && settings.policy.rules.iter().any(samples)
        && !can_draw_by_content()
    {
        return Err(Error::JoinedSampling);
    }
    Selector::new(settings.policy.clone(), settings.into(), room)
}

impl Agent {
    /// Tells the rules of an interface's observation points, before they see a packet.
    pub(super) fn admit(&mut self, points: Points, interface: &Interface) -> Result<()> {
        if !self.flows.rules().asks_for_points() {
            return Ok(());
        }
        for first in points.each() {
            for (point, direction) in [(first, Direction::Ingress), (first + 1, Direction::Egress)] {
                let Self { flows, selector, .. } = self;
                flows.admit(point, |row| selector.means(row, interface, direction))?;
            }
        }
        Ok(())
    }

    /// Has `selector` decide from now on. Both generations have its rules when this returns, and
    /// every packet has met the old ones or the new ones.
    pub(super) fn apply(&mut self, selector: Selector, outlet: &mut Outlet) -> Result<()> {
        let accounts = self.books.numbered();
        let compiled = selector.compiled(
            accounts.map(|(point, account)| (point, account.interface.as_ref(), account.direction)),
        )?;
        self.selector = selector;
        self.flows.set_rules(compiled);
        self.drain(outlet)?;
        // What the old rules have sampled is in no record with what the new ones will.
        let (table, mut exit) = self.exit(outlet);
        table.cut(|ending| exit.take(ending));
        self.drain(outlet)
    }
}
