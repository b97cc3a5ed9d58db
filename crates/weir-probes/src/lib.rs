//! Weir's probes. One directory each: its C, its Rust, side by side.

pub mod calls;
pub mod dns;
pub mod drops;
pub mod flows;
pub mod hellos;
pub mod holders;
mod names;
pub mod processes;
mod programs;
pub mod retransmits;
pub mod sockets;
pub mod tcp;

pub use names::probe_of;
pub use programs::Programs;
