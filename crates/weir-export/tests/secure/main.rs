//! Records to peers that prove who they are, and want to know who we are: TLS (RFC 8446) as OpenSSL speaks it and as
//! rsyslog and nginx have it.

mod authority;
mod endings;
mod flows;
mod https;
mod names;
mod nginx;
mod openssl;
mod rsyslog;
mod streams;
mod trust;

use std::iter;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use weir_export::Target;

/// A port of the loopback that nobody has, and that no connection gets by chance.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let port = || {
        let number = std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        10_000 + (number % 20_000) as u16
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    iter::repeat_with(port).take(1000).find(is_free).expect("a port")
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
