//! A sink on another host, as we see it.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// Where a sink is asked: TCP.
pub const PORT: u16 = 7980;
const PATIENCE: Duration = Duration::from_secs(5);

/// The connection to it. Each line sent, whatever it says, is answered by one: packets so far.
pub struct Remote {
    answers: BufReader<TcpStream>,
    to: SocketAddr,
}

impl Remote {
    /// Connects to the sink on host `to`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn new(to: IpAddr) -> Result<Self> {
        let to = SocketAddr::new(to, PORT);
        let missing = || format!("no sink at {to}. On that host: weir study sink --interface IF");
        let stream = TcpStream::connect_timeout(&to, PATIENCE).with_context(missing)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { answers: BufReader::new(stream), to })
    }

    /// Packets that have arrived there so far.
    ///
    /// # Errors
    /// It does not answer, or not as a sink does.
    pub fn arrived(&mut self) -> Result<u64> {
        let silent = || format!("the sink at {} does not answer", self.to);
        self.answers.get_mut().write_all(b"arrived\n").with_context(silent)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).with_context(silent)?;
        let number = line.trim().parse();
        number.with_context(|| format!("what listens at {} is no sink", self.to))
    }
}
