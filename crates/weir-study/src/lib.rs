//! What watching costs, measured: `weir study` compares ways to watch a network on the user's own host,
//! `weir-bench` compares Weir with itself and with its targets.

pub mod bench;
mod interrupt;
mod machine;
mod namespace;
pub mod recommend;
pub mod results;
mod spread;
pub mod tuning;
