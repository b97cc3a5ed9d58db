//! What all commands share that ask what was kept: which directory, and what a time means.

mod directory;
mod time;

pub use directory::{directory, of_agent, open, writer};
pub use time::{day_and_time, moment};
