//! Records to Kafka: a cluster of librdkafka's (which has partitions, leaders and errors, and neither TLS nor SASL: a relay
//! before it has), read back with kcat.

mod brokers;
#[path = "../common/mod.rs"]
mod common;
mod formats;
mod losses;
mod mistakes;
mod relay;
mod sasl;
mod scram;
mod secured;

use common::{authority, courier, flows, mistake, read_protos, state, target};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
