//! The HTTP side of Weir. It knows nothing of flows: it serves [`Endpoint`]s, and each has somebody who answers.
//!
//! ```text
//! connection ──► access ──► endpoint ──► room among others ──► answer, on a thread of its own ──► reply, as it goes
//! ```
//!
//! Everything is bounded: connections, requests at once and waiting, bytes of a request, time. An answer that fails after
//! a part of it was sent ends the connection in the middle, so that nobody takes it for a whole one.
//! Why so: docs/decisions/0020-http.md.

mod access;
mod endpoint;
mod media;
mod openapi;
mod problem;
mod reply;
mod respond;
mod server;

pub use access::{Access, OwnerOf, Token};
pub use endpoint::{Asks, Body, Endpoint, Load, Media, Method, Parameter, Request, Who};
pub use openapi::{About, description};
pub use problem::Problem;
pub use reply::{Reply, Watch};
pub use server::{Server, Unheard};
