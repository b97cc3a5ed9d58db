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

use weir_export::Target;

fn target(url: &str) -> Target {
    url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
}

/// Tries it once: what it says that is wrong, in one line.
fn mistake(url: &str) -> String {
    let said = target(url).test(flows::START).expect_err(url).to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}
