//! What ends from now on.

use super::asked::Asked;
use crate::history::{Agent, Held, Sources};
use crate::records::Row;
use anyhow::Result;
use std::time::Duration;
use weir_record::FlowRecord;

/// How often the agent is asked for it.
pub const GLANCE: Duration = Duration::from_millis(200);

/// What ends from the moment on of which the sources are.
pub struct Coming<'a> {
    asked: &'a Asked,
    agent: Agent,
    held: Held,
    /// What has ended since that moment, until it has been told.
    ended: Vec<FlowRecord>,
}

impl<'a> Coming<'a> {
    /// Nothing comes where no agent is.
    pub fn of(asked: &'a Asked, sources: &mut Sources) -> Option<Self> {
        let (agent, held) = sources.agent.take()?;
        Some(Self { asked, agent, held, ended: std::mem::take(&mut sources.ended) })
    }

    /// What has ended and was asked for since the last call, and how many records ended faster than they could be told.
    ///
    /// # Errors
    /// The agent does not answer any more.
    pub fn news(&mut self) -> Result<(Vec<Row>, u64)> {
        let (more, missed) = self.agent.ended(&mut self.held)?;
        let ended = std::mem::take(&mut self.ended).into_iter().chain(more);
        let wanted = ended.filter(|record| self.asked.wants(record));
        Ok((wanted.map(|record| Row { record, is_open: false }).collect(), missed))
    }
}
