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
//!
//! [`Source`] is the way back from a server that can be asked, as a [`History`].
//! [`Push`] is something else: it pushes metrics, and knows nothing of records.

mod batch;
mod clickhouse;
mod client;
mod collector;
mod courier;
mod doubt;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod grpc;
mod host;
mod http;
mod ids;
mod json;
mod kafka;
mod lines;
mod link;
mod login;
mod netobserv;
mod objects;
mod otlp;
mod peer;
mod protobuf;
mod push;
mod rate;
mod target;
mod tls;
mod trust;

/// What is sent, without anybody to send it to: for whoever measures that.
pub mod forms {
    pub use crate::batch::{Batch, Body, Filled, JsonLines};
    pub use crate::netobserv::Records as Netobserv;
    pub use crate::otlp::{Otlp, Resource, Signal};
}

pub use clickhouse::{History, Source};
pub use courier::{Courier, Tell, about};
pub use host::name as host_name;
pub use objects::Kept;
pub use peer::{Gather, Peer, Sent, Silence};
pub use push::{Push, Pushed, Pusher, Running};
pub use rate::Rate;
pub use target::options::SECRET;
pub use target::{Kind, Target};
