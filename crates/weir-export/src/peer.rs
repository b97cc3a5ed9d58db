//! What every peer is spoken to by.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;
use weir_record::FlowRecord;

/// What came of sending.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// What was sent.
    pub bytes: usize,
    /// Records that will never be taken, however often they are sent.
    pub refused: u64,
    /// Why.
    pub why: Option<String>,
    /// What it answered, for people.
    pub answer: Option<String>,
}

/// What a peer says of what it was sent, and so what of it may be lost with the connection.
#[derive(Debug, Clone, Copy)]
pub enum Silence {
    /// It says when it has a batch.
    None,
    /// Nothing, and as many bytes may be on their way to it.
    Bytes(usize),
    /// Nothing; that it is away is heard this much later at most.
    Time(Duration),
}

/// What a peer wants at once: few large parts instead of many small ones. Until then it is collected on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    /// Bytes, as they lie there.
    pub bytes: u64,
    /// However little there is by then.
    pub every: Duration,
}

/// A program that records are sent to. What blocks gives up after some seconds.
pub trait Peer: Send {
    /// Connects anew. Whatever was said before is forgotten.
    ///
    /// # Errors
    /// It cannot be reached.
    fn connect(&mut self) -> io::Result<()>;

    /// Sends these, all of them or an error; then some may have arrived.
    ///
    /// # Errors
    /// The connection is of no use any more.
    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent>;

    /// Looks whether it is still there, while nothing is sent.
    ///
    /// # Errors
    /// It is not: `UnexpectedEof` where it has closed in order, and so has read everything.
    fn look(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Closes the connection, where there is one.
    fn disconnect(&mut self) {}

    /// Closes it for good, and sees whether the far end closes it, too, where it says nothing else of what it was sent.
    ///
    /// # Errors
    /// It does not within a moment, or not in order: it may not have read everything.
    fn leave(&mut self) -> io::Result<()> {
        self.disconnect();
        Ok(())
    }

    /// What it says of what it was sent.
    fn silence(&self) -> Silence;

    /// What it wants at once, where that is more than what comes in a second.
    fn gather(&self) -> Option<Gather> {
        None
    }
}

/// Nobody who asks for more time gets more: what waits for it takes room.
const PATIENCE: Duration = Duration::from_secs(300);

/// A peer that is there, and asks to be left alone for some time.
#[derive(Debug)]
pub struct Later {
    wait: Duration,
    why: String,
}

impl Later {
    /// That long, because of this.
    pub fn error(wait: Duration, why: &io::Error) -> io::Error {
        io::Error::other(Self { wait: wait.min(PATIENCE), why: why.to_string() })
    }

    /// How long, where an error says so.
    pub fn wait(error: &io::Error) -> Option<Duration> {
        error.get_ref()?.downcast_ref().map(|later: &Self| later.wait)
    }
}

impl fmt::Display for Later {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.why)
    }
}

impl Error for Later {}
