//! Records to peers that prove who they are, and want to know who we are: TLS (RFC 8446) as OpenSSL speaks it and as
//! rsyslog and nginx have it.

mod authority;
mod flows;
mod openssl;
mod rsyslog;
mod streams;
mod trust;

use std::net::TcpListener;
use weir_export::Target;

/// A port of the loopback that nobody has.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

fn target(url: &str) -> Target {
    url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
}

/// Tries it once: what it says that is wrong, in one line.
fn mistake(url: &str) -> String {
    let said = target(url).test(flows::START).expect_err(url).to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}
