//! Flow records as IPFIX, both ways: messages (RFC 7011) that hold both directions of a conversation in one record
//! (RFC 5103), and files of them (RFC 5655). What is ours alone says itself what it is (RFC 5610).
//!
//! A message is bytes: how it gets somewhere is the caller's affair. [`Encoder`] makes messages as long as they may be,
//! [`Decoder`] takes them one by one; [`Writer`] and [`Reader`] do the same with files, which are messages one after
//! the other. [`NetFlow9`] and [`NetFlow5`] make messages for collectors that know no IPFIX.

mod decode;
mod element;
mod encode;
mod netflow;
mod value;
mod wire;

pub use decode::{Cause, Decoder, Mistake, ReadError, Reader, Tally, is_ipfix};
pub use element::elements_page;
pub use encode::{Encode, Encoder, Progress, Refused, TooLarge, Writer};
pub use netflow::{NetFlow5, NetFlow9, OneWay};
