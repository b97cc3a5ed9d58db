//! Settings that change while the agent runs.

use super::{Agent, rules};
use crate::{Outlet, Settings};

/// The line that says what a reload has changed.
pub fn reloaded(changes: &[String]) -> String {
    match changes {
        [] => "reloaded: nothing has changed".into(),
        [one] => format!("reloaded: 1 setting changed: {one}"),
        more => format!("reloaded: {} settings changed: {}", more.len(), more.join(", ")),
    }
}

impl Agent {
    /// Follows `wanted` from now on, as a whole or not at all. What has changed, a phrase each.
    ///
    /// # Errors
    /// One line: a value makes no sense, or a setting needs a restart.
    pub fn change(&mut self, wanted: Settings, outlet: &mut Outlet) -> Result<Vec<String>, String> {
        let changes = self.settings.changes_to(&wanted)?;
        // What can be refused comes before what is changed.
        let selector =
            rules::selector(&wanted, self.flows.layout().rule_room).map_err(|error| error.to_string())?;
        let selects = self.settings.selection != wanted.selection;
        if selects {
            self.check_selection(&wanted.selection).map_err(|error| error.to_string())?;
        }
        if self.settings.policy != wanted.policy {
            let remarks = selector.remarks().to_vec();
            self.apply(selector, outlet).map_err(|error| error.to_string())?;
            remarks.into_iter().for_each(|remark| self.notice(remark));
        }
        // After the rules: what is watched anew meets the new ones only.
        if selects {
            self.select(wanted.selection.clone(), outlet).map_err(|error| error.to_string())?;
        }
        self.table.limit(&wanted);
        self.identity.change(&wanted);
        self.settings = wanted;
        Ok(changes)
    }

    /// The settings in effect.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
