//! Settings that change while the agent runs.

use super::Agent;
use crate::Settings;

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
    pub fn change(&mut self, wanted: Settings) -> Result<Vec<String>, String> {
        let changes = self.settings.changes_to(&wanted)?;
        self.table.limit(&wanted);
        self.settings = wanted;
        Ok(changes)
    }

    /// The settings in effect.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
