//! What watching costs, measured: `weir study` compares ways to watch a network on the user's own host,
//! `weir-bench` compares Weir with itself and with its targets.

pub mod arms;
pub mod bench;
mod interrupt;
mod lab;
pub use lab::sink;
mod machine;
mod namespace;
mod paused;
mod pcap;
mod programs;
mod random;
pub mod recommend;
pub mod report;
pub mod results;
mod senders;
mod spread;
pub mod study;
pub mod traffic;
pub mod tuning;
