//! Records to Kafka: a cluster of librdkafka's (which has partitions, leaders and errors, and neither TLS nor SASL: a relay
//! before it has), read back with kcat.

#[path = "../secure/authority.rs"]
#[allow(dead_code)] // each test has its use for some of it
mod authority;
mod brokers;
#[path = "../secure/flows.rs"]
#[allow(dead_code)]
mod flows;
mod formats;
mod losses;
mod mistakes;
mod relay;
mod sasl;
mod scram;
mod secured;

use std::time::Duration;
use weir_export::Target;

const SOON: Duration = Duration::from_secs(60);

fn target(url: &str) -> Target {
    url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
}

/// Tries it once: what it says that is wrong, in one line.
fn mistake(url: &str) -> String {
    let said = target(url).test(flows::START).expect_err(url).to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}
