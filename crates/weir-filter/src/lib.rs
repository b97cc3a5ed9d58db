//! The filter language: one text, one tree, one meaning wherever it runs.
//!
//! [`Filter::parse`] makes a typed tree of the text, [`Filter::matches`] asks it of a record, and
//! [`Filter::rows`] puts into normal form what can be decided for each packet, for the kernel.
//! An [`EventFilter`] is the same language, asked of events. A [`Rule`] says what becomes of the packets that a filter matches. Users read `docs/filter.md`.

mod expression;
mod filter;
#[cfg(feature = "proptest")]
pub mod generate;
mod language;
mod mistake;
pub mod normal;
mod rule;
mod spans;
mod subject;
mod warnings;

pub use expression::{AddressSet, Bits, Check, Expression, Pattern, Test};
pub use filter::{EventFilter, Filter};
pub use mistake::Mistake;
pub use rule::{Action, Rule};
pub use subject::{EventSubject, Sort, Subject, Testable};
pub use warnings::warnings;
