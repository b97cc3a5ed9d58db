//! What the user can decide.

use crate::{Namespaces, Selection};
use std::time::Duration;
use weir_kernel::Position;

/// How the programs are hung on interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookChoice {
    /// TCX links where the kernel has them, clsact filters elsewhere.
    Auto,
    /// TCX links, or an error.
    Tcx,
    /// clsact filters.
    Clsact,
}

/// Everything that the agent is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Network namespaces to watch; cannot be changed while running.
    pub namespaces: Namespaces,
    /// Interfaces to watch there.
    pub selection: Selection,
    /// Kind of hook.
    pub hook: HookChoice,
    /// Place among other programs.
    pub position: Position,
    /// Time between drains.
    pub interval: Duration,
    /// A flow without packets for this long ends.
    pub idle_timeout: Duration,
    /// A record of a flow that goes on ends after this long.
    pub active_timeout: Duration,
    /// Kernel memory for all maps, in bytes.
    pub memory_budget: u64,
    /// Flows that the table holds; one more is exported at once.
    pub max_flows: usize,
}
