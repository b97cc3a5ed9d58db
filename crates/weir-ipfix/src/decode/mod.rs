//! Messages in, records out.

mod decoder;
mod flow;
mod reader;
mod tally;
mod template;

pub use decoder::{Decoder, Mistake};
pub use reader::{ReadError, Reader, is_ipfix};
pub use tally::{Cause, Tally};
