//! Normal form: what can be decided for each packet, from its key and its observation point alone.
//!
//! A filter becomes rows, any of which has to match; a row is a set for each dimension of the key.
//! This is what the kernel's rules are made of, and what tells that a rule is never reached.

mod build;
mod dimension;
mod point;
mod row;
mod set;

pub use crate::spans::{Spans, Whole};
pub use build::{Doubt, NotKernel};
pub use dimension::{Coordinate, Dimension, answering_icmp_type};
pub use point::PointTest;
pub use row::Row;
pub use set::Set;
