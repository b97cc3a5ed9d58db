//! Segments: Parquet files, each whole and never changed.

mod checksum;
mod delta;
mod digest;
mod encoder;
mod file;
mod gather;
mod hybrid;
mod name;
mod order;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use file::{Known, SegmentFile};
pub(crate) use name::day_of;
pub use name::{Logs, Name};
pub(crate) use read::{Batches, within};
pub use read::{Looked, Question, Segment};
pub use write::key_values;
pub(crate) use write::{Draft, by_day, sync_directory, times};
