//! DNS as somebody sees it who only listens: what messages say, how TCP carries them, and which answer belongs to
//! which question. No I/O.
//!
//! Anybody may have written what is read here: nothing is believed before it is checked, and all that is kept is
//! bounded.

mod exchange;
mod exchanges;
mod lookup;
mod message;
mod name;
mod strays;
mod streams;

pub use exchanges::{Exchanges, Told};
pub use lookup::{Ends, Lookup, Outcome, Place, Reply, Seen, Transport};
pub use message::{Data, Malformed, Message, Question, Record};
pub use name::Name;
pub use strays::Strays;
pub use streams::{Segment, Streams, Unfollowed};
