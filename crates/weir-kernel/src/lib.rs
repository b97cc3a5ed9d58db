//! Weir's side of the system call: loading BPF objects, attaching them, and reading what
//! they counted. Every other crate is free of `unsafe`; here each use says why it holds.
//!
//! A BPF object goes through two types: [`Opened`] (sizes and constants can still be set)
//! and [`Loaded`] (the kernel has accepted it; programs can be attached, maps read).

mod attach;
mod batch;
mod cell;
pub mod clock;
mod drop_reasons;
mod error;
pub mod feature;
mod grace;
pub mod layout;
mod object;
pub mod packet_socket;
mod pinned;
pub mod privilege;
mod ring;
mod socket_drops;
mod socket_filter;
pub mod stats;
mod trace;
mod twins;
mod window;

pub use attach::{
    Attachment, Direction, Filter, Hook, Position, attach, attach_somehow, is_tcx_missing, sweep,
};
pub use batch::{After, Batch};
pub use cell::NUMBERS;
pub use drop_reasons::{drop_reasons, tracepoint_arguments};
pub use error::{Error, Result};
pub use grace::GracePeriod;
pub use object::{Loaded, Opened, memory_of};
pub use pinned::{BPFFS, Pin, Pinned, mount_bpffs, try_pin};
pub use ring::Ring;
pub use socket_drops::socket_drops;
pub use socket_filter::{Instruction, filter_socket};
pub use trace::{Iterator, Traced};
pub use twins::*;
pub use window::{Shared, Window, page_size};

/// A type that any bit pattern of its size is a valid value of, without padding.
///
/// # Safety
/// Only for `#[repr(C)]` types made of integers, whose every byte belongs to a field.
pub unsafe trait Pod: Copy + 'static {}

// SAFETY: plain integers.
unsafe impl Pod for u8 {}
// SAFETY: plain integers.
unsafe impl Pod for u32 {}
// SAFETY: plain integers.
unsafe impl Pod for u64 {}
