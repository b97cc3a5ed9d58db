//! Records to peers that prove who they are, and want to know who we are: TLS (RFC 8446) as OpenSSL speaks it and as
//! rsyslog and nginx have it.

#[path = "../common/mod.rs"]
mod common;
mod endings;
mod https;
mod names;
mod nginx;
mod streams;
mod trust;

use common::{authority, courier, flows, mistake, openssl, state, target, web};
