//! What all commands share that ask what was kept: which directory, whom else to ask, which flows, and what a time means.

mod asker;
mod conditions;
mod directory;
mod live;
mod sources;
mod time;

pub use asker::Asker;
pub use conditions::Conditions;
#[cfg(feature = "sql")]
pub use directory::state;
pub use directory::{directory, of_agent, open, writer};
pub use live::{Agent, Held};
pub use sources::Sources;
pub use time::{day_and_time, moment, moment_at};
