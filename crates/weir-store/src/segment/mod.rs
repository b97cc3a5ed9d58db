//! Segments: Parquet files, each whole and never changed.

mod checksum;
#[cfg_attr(not(test), expect(dead_code, reason = "segments are not written by it yet"))]
mod dictionary;
mod hybrid;
mod name;
mod order;
mod read;
mod write;

pub(crate) use name::day_of;
pub use name::{Logs, Name};
pub(crate) use read::within;
pub use read::{Looked, Question, Segment};
pub(crate) use write::{Draft, by_day, sync_directory, times};
