//! Weir's pipeline: the kernel's aggregates in, batches of flow records out.
//!
//! ```text
//! probe ──► drain ──► flow table ──► records ──► outlet (queue, thread) ──► sink
//!             │            │                        │
//!             └────────────┴───── books ────────────┘
//! ```
//!
//! One thread drains, merges and keeps the books; each sink has a thread of its own, which a
//! slow reader can stop without stopping the drain.

mod agent;
mod books;
mod decode;
mod error;
mod interfaces;
#[cfg(test)]
mod nested;
mod outlet;
mod settings;
mod table;
#[cfg(test)]
mod witness;

pub use agent::{Agent, Report, Start};
pub use books::{Books, Notify};
pub use error::{Error, Result};
pub use interfaces::{KindRule, Namespaces, Selection};
pub use outlet::{Outlet, Sink};
pub use settings::{HookChoice, Settings};
pub use table::{LiveFlow, Table};
