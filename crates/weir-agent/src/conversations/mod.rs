//! The table of conversations: what all CPUs, generations, observation points and both
//! directions have counted of the same packets, until the conversation ends.
//!
//! ```text
//! entry ──► translations (as it was meant)
//!         ──► key (which conversation?) ──► conversation ──► tally (which point, which direction?)
//!                                              │
//!                              its end, by the table's timeouts
//!                                              ▼
//!                 choice (which of the points counts?) ──► record, with every observation
//! ```

mod carriers;
mod choice;
mod conversation;
mod ids;
mod key;
#[cfg(test)]
mod property;
mod rank;
mod record;
#[cfg(test)]
mod samples;
mod table;
mod tally;
mod translations;

pub(crate) use carriers::Carriers;
pub use key::{Dedup, Joining};
pub use record::LiveFlow;
pub(crate) use record::{live, moved, record};
pub(crate) use table::{Counted, Ending, Table};
pub(crate) use translations::{Place, Tuples};
