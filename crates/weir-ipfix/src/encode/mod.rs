//! Records in, messages out.

mod contract;
mod encoder;
mod layout;
mod message;
mod options;
mod types;
mod writer;

pub(crate) use self::layout::put_specifier;
pub(crate) use self::message::{Message, Messages, Outline};
pub use contract::{Encode, Progress, Refused};
pub use encoder::{Encoder, TooLarge};
pub use writer::Writer;
