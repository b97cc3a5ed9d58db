//! NetFlow 9 (RFC 3954) and 5, for collectors that know no IPFIX.
//!
//! A flow of theirs goes one way: a record of both directions leaves as two, one for each way that packets went
//! ([`one_way`]). Times are told by the exporter's own clock ([`clock`]).

mod clock;
mod one_way;
mod v5;
mod v9;

pub use one_way::OneWay;
pub use v5::NetFlow5;
pub use v9::{NetFlow9, elements};
