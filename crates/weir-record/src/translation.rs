//! Translated addresses (NAT).

use crate::FlowKey;
use std::net::IpAddr;

/// The ends of a conversation as its packets name them behind the translation. Where only one end is
/// translated the other is the same as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// What stands for the record's source.
    pub source: (IpAddr, u16),
    /// What stands for the record's destination.
    pub destination: (IpAddr, u16),
}

impl Translation {
    /// That to the ends of `key`; none where it has no ports.
    pub fn to(key: &FlowKey) -> Option<Self> {
        let ((source, destination), (from, to)) = key.addresses().zip(key.ports())?;
        Some(Self { source: (source, from), destination: (destination, to) })
    }
}
