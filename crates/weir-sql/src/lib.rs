//! SQL over the embedded history, or over what exporters have put into a store of objects, by DataFusion. It only reads.
//!
//! [`Apart`] asks a history [`Statement`]s, each in a process of its own, where an engine answers. It sees the tables as
//! they are at one moment, segments and logs, and hands what it finds to an [`Answer`], batch by batch; a [`Report`] says
//! what was read for it and what passed over.
//! Why so: docs/decisions/0016-sql.md.

mod apart;
mod catalog;
mod engine;
mod error;
mod history;
mod minus;
mod objects;
mod patience;
mod report;
mod segments;
mod statement;
mod tables;
mod versions;

pub use apart::{Apart, FROM, NAME, serve};
pub use datafusion::arrow;
pub use engine::{Answer, Source};
pub use error::{Error, Result};
pub use objects::Objects;
pub use report::{Fate, Report, SegmentReport, TableReport};
pub use statement::Statement;
