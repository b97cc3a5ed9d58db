//! What the two processes tell each other: a letter that says what it is, how many bytes it has, and those.

use crate::Error;
use crate::report::Report;
use crate::statement::Statement;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// Bytes of one at most.
pub(super) const MOST: usize = 64 << 20;

/// What is asked, in a line of JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// The text that the statement stands in.
    text: Arc<str>,
    /// Which of its statements it is.
    place: usize,
    /// Bytes that it may hold in memory.
    pub memory: usize,
}

impl Request {
    pub fn new(statement: &Statement, memory: usize) -> Self {
        Self { text: Arc::clone(&statement.text), place: statement.place, memory }
    }

    pub fn statement(&self) -> Result<Statement, Error> {
        let mut all = Statement::all(&self.text)?;
        if self.place < all.len() {
            return Ok(all.swap_remove(self.place));
        }
        Err(Error::Query("there is no such statement".into()))
    }
}

/// A part of an answer.
pub(super) enum Frame {
    /// Its columns, and perhaps some rows, in Arrow's streaming format.
    Arrow(Vec<u8>),
    /// What is left out of the rows that follow.
    Without(String),
    /// That was all.
    End(Result<Report, Failure>),
}

/// Why there is no answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Query(String),
    Memory { limit: usize, what: String },
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(said) => Self::Query(said),
            Error::Memory { limit, what } => Self::Memory { limit, what },
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Query(said) => Self::Query(said),
            Failure::Memory { limit, what } => Self::Memory { limit, what },
            Failure::Other(said) => Self::Read(said),
        }
    }
}

impl Frame {
    /// The next one; none where there are no more.
    ///
    /// # Errors
    /// It breaks off, or is none.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if from.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MOST {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        match kind[0] {
            b'A' => Ok(Some(Self::Arrow(bytes))),
            b'W' => Ok(Some(Self::Without(String::from_utf8_lossy(&bytes).into_owned()))),
            b'E' => Ok(Some(Self::End(serde_json::from_slice(&bytes)?))),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Tells it.
    ///
    /// # Errors
    /// Nobody reads any more; or it is larger than one may be.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let end;
        let (kind, bytes) = match self {
            Self::Arrow(bytes) => (b'A', &bytes[..]),
            Self::Without(damaged) => (b'W', damaged.as_bytes()),
            Self::End(outcome) => {
                end = serde_json::to_vec(outcome)?;
                (b'E', &end[..])
            }
        };
        if bytes.len() > MOST {
            return Err(ErrorKind::FileTooLarge.into());
        }
        to.write_all(&[kind])?;
        to.write_all(&(bytes.len() as u32).to_le_bytes())?;
        to.write_all(bytes)?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let mut told = Vec::new();
        Frame::Arrow(vec![1, 2]).write(&mut told).expect("it is told");
        Frame::Without("a.parquet".into()).write(&mut told).expect("it is told");
        Frame::End(Err(Failure::Query("no".into()))).write(&mut told).expect("it is told");
        let mut from = &told[..];
        let mut next = || Frame::read(&mut from);
        assert!(matches!(next(), Ok(Some(Frame::Arrow(bytes))) if bytes == [1, 2]));
        assert!(matches!(next(), Ok(Some(Frame::Without(damaged))) if damaged == "a.parquet"));
        assert!(matches!(next(), Ok(Some(Frame::End(Err(Failure::Query(said))))) if said == "no"));
        assert!(matches!(next(), Ok(None)));
        assert!(Frame::read(&mut &told[..4]).is_err());
        assert!(Frame::read(&mut &b"A\xff\xff\xff\xff"[..]).is_err());
        assert!(Frame::read(&mut &b"X\0\0\0\0"[..]).is_err());
    }

    #[test]
    fn a_statement_is_found_in_its_text() {
        let statements = Statement::all("select 1; select ';'").expect("it is SQL");
        let again = Request::new(&statements[1], 0).statement().expect("it is there");
        assert_eq!(again.parsed.to_string(), "SELECT ';'");
    }
}
