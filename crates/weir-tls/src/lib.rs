//! What a client says in the clear before anything is encrypted: the name of the server that it wants, the protocols
//! that it speaks, the version of TLS that it offers. No I/O.
//!
//! Over TCP it is the first message of the stream ([`Stream`]). In QUIC it is encrypted with keys that everybody can
//! derive from the packet itself, and may be spread over several packets ([`Initials`]).
//!
//! All of it comes from strangers: everything is bounded, nothing panics.

mod bytes;
mod hello;
mod quic;
mod stream;

pub use hello::{Hello, Unread};
pub use quic::Initials;
pub use stream::Stream;
