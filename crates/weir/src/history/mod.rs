//! What all commands share that ask what was kept: which directory, whom else to ask, which flows, and what a time means.

mod conditions;
mod directory;
mod live;
mod sources;
mod time;

pub use conditions::Conditions;
pub use directory::{directory, of_agent, open, state, writer};
pub use sources::Sources;
pub use time::{day_and_time, moment, moment_at};
