//! What watching costs, measured: `weir study` compares ways to watch a network on the user's own host,
//! `weir-bench` compares Weir with itself and with its targets.

mod arms;
pub mod bench;
mod interrupt;
mod lab;
mod machine;
mod namespace;
mod pcap;
mod programs;
pub mod report;
pub mod results;
mod senders;
mod spread;
mod study;
mod traffic;
