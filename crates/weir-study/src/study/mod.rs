//! The study: every arm under every traffic, again and again.

mod figures;
mod isolated;
mod load;
mod pairs;
mod plan;
mod run;
mod scaling;
mod slice;
mod survey;
#[cfg(test)]
mod tests;
mod watcher;

pub use plan::{Effort, Plan};
pub use run::{Audience, prepare, run, survey};
pub(crate) use slice::thread_time;
