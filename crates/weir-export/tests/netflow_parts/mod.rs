//! What the tests of NetFlow stand on.

pub mod nfcapd;
pub mod records;
pub mod tshark;
