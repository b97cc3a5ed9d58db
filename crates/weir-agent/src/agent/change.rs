//! Settings that change while the agent runs.

use super::Agent;
use crate::Settings;

impl Agent {
    /// Follows `wanted` from now on, as a whole or not at all. What has changed, a phrase each.
    ///
    /// # Errors
    /// One line: a value makes no sense, or a setting needs a restart.
    pub fn change(&mut self, wanted: Settings) -> Result<Vec<String>, String> {
        let changes = self.settings.changes_to(&wanted)?;
        self.table.limit(wanted.idle_timeout, wanted.active_timeout, wanted.max_flows);
        self.settings = wanted;
        Ok(changes)
    }

    /// The settings in effect.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
