//! Records in, messages out.

mod encoder;
mod layout;
mod message;
mod types;
mod writer;

pub use encoder::{Encoder, TooLarge};
pub use writer::Writer;
