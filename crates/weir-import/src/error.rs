//! What can go wrong.

use std::io;

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not known what this is.
    #[error("it is no capture (pcap, pcapng) and no file of nfcapd or of IPFIX: `file` says what it is")]
    Unknown,
    /// It begins as a compressed file does.
    #[error("it is compressed: `{0} FILE | weir import -` reads it")]
    Compressed(&'static str),
    /// It is known, and not read.
    #[error("it is {what}, which is not read: {remedy}")]
    NotRead {
        /// What it is.
        what: String,
        /// What makes something of it that is.
        remedy: &'static str,
    },
    /// The input failed.
    #[error("cannot read it: {0}")]
    Read(#[source] io::Error),
    /// A record was not taken.
    #[error("cannot keep what is in it: {0}")]
    Keep(#[source] io::Error),
}

/// Why reading ends before the file does.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The file is cut short, or damaged from here on.
    Broken(String),
    /// Something else.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Or why reading ends.
pub(crate) type Result<T> = std::result::Result<T, Stop>;
