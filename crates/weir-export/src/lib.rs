//! Records on their way to other programs.
//!
//! [`Target`] is what a URL asks for, [`Courier`] takes batches there: it connects, sends, and where the peer is away puts
//! what comes into a spool on disk. How a peer is spoken to is a module: [`peer`] says what all of them have in common.
//!
//! ```text
//! batch ─► filter ─► peer ── away ──► spool ──► peer        in the order in which they came
//!                                       └ full ──► lost, said to whoever gave the batch
//! ```
//! A connection that breaks may have swallowed what was sent last. What cannot be known to have arrived is sent once more:
//! a receiver has each record at least once, and knows one that it has by `flow_id`, `start` and `end`.

mod clickhouse;
mod client;
mod collector;
mod courier;
mod doubt;
mod file;
mod host;
mod http;
mod json;
mod lines;
mod link;
mod login;
mod otlp;
mod peer;
mod protobuf;
mod target;
mod tls;
mod trust;

pub use courier::{Courier, Tell, about};
pub use peer::{Peer, Sent, Silence};
pub use target::{Kind, Target};
