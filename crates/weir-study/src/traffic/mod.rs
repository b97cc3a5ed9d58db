//! What is sent: which flows, in which order, how large.

mod frame;
mod model;
pub mod ports;
mod schedule;

pub use frame::{Ends, Frames, STAMP, key_of, stamp};
pub use model::{GeneratorKind, MOST, Mix, Traffic, least};
pub use schedule::{Schedule, Step};
