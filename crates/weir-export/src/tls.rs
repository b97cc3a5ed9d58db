//! TLS over a stream (RFC 8446), as a client.

use crate::trust::said;
use nix::sys::socket::{MsgFlags, recv};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What whoever refuses us may take for it, beside the way.
const REFUSAL: Duration = Duration::from_millis(100);
/// What lies between the end of TLS and that of the stream below.
const ENDING: Duration = Duration::from_millis(200);

/// A stream whose hands are shaken.
#[derive(Debug)]
pub struct Secured {
    stream: TcpStream,
    tls: ClientConnection,
}

impl Secured {
    /// The address that we have below it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// With whoever proves to be this host, within so long.
    pub fn over(
        stream: TcpStream,
        host: &str,
        config: Arc<ClientConfig>,
        patience: Duration,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other("no certificate can have such a name"))?;
        let mut secured =
            Self { stream, tls: ClientConnection::new(config, name).map_err(io::Error::other)? };
        let start = Instant::now();
        let shaken = secured.shake_hands(start + patience);
        let shaken = shaken.and_then(|()| secured.hear_refusal(start.elapsed() + REFUSAL));
        shaken.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                io::Error::other(format!("it does not answer in TLS for {} s", patience.as_secs()))
            }
            // Not an end in order: nothing was read there.
            ErrorKind::UnexpectedEof => io::Error::other("it closes the connection when it should begin TLS"),
            _ => error,
        })?;
        Ok(secured)
    }

    fn shake_hands(&mut self, deadline: Instant) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.flush()?;
            let left = deadline.saturating_duration_since(Instant::now());
            // None at all would be for ever.
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => drop(read?),
            }
            self.take_in()?;
        }
        self.flush()
    }

    /// In TLS 1.3 we are through before our certificate was looked at (RFC 8446, section 4.4.4): what would be sent now
    /// is sent in vain if it is refused. Whoever does not refuse says something, too, as a rule: tickets.
    fn hear_refusal(&mut self, patience: Duration) -> io::Result<()> {
        if self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            self.stream.set_read_timeout(Some(patience))?;
            let _ = self.stream.peek(&mut [0]);
        }
        self.look()
    }

    /// Sends all of it, as far as our kernel.
    pub fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.tls.writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }

    /// Reads what there is, and waits for nothing but the end of a stream whose TLS has ended: `UnexpectedEof` where the far end has read everything and closed.
    pub fn look(&mut self) -> io::Result<()> {
        match self.drained() {
            // An alert says more than the reset that may follow it.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
            // Of a reset that follows an end in order only the end is read.
            seen => self.stream.take_error()?.map_or(seen, Err),
        }
    }

    fn drained(&mut self) -> io::Result<()> {
        for _ in 0..64 {
            match self.tls.read_tls(&mut Now(&self.stream)) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if self.take_in()? => return Err(self.ended()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Decrypts what has come, for nobody; whether nothing more comes.
    fn take_in(&mut self) -> io::Result<bool> {
        let state = self.tls.process_new_packets();
        let is_over = state.map(|state| state.peer_has_closed()).map_err(|error| {
            // It may want to know what we do not like.
            let _ = self.tls.write_tls(&mut self.stream);
            io::Error::other(said(&error))
        })?;
        let _ = io::copy(&mut self.tls.reader(), &mut io::sink());
        Ok(is_over)
    }

    /// Whoever ends TLS may still have left something unread: then a reset follows, and not the end of the stream.
    fn ended(&self) -> io::Error {
        let _ = self.stream.set_read_timeout(Some(ENDING));
        match (&self.stream).read(&mut [0]) {
            Ok(0) => ErrorKind::UnexpectedEof.into(),
            _ => io::Error::new(ErrorKind::ConnectionAborted, "it has ended TLS"),
        }
    }

    /// Nothing more comes. Does not wait.
    pub fn end(&mut self) {
        let _ = self.stream.set_nonblocking(true);
        // What came and nobody has read would make a reset of the end, and that would take with it what is on its way.
        let _ = self.drained();
        self.tls.send_close_notify();
        let _ = self.flush();
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// What is below.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// Reads what is there already.
struct Now<'s>(&'s TcpStream);

impl Read for Now<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_raw_fd(), room, MsgFlags::MSG_DONTWAIT)?)
    }
}
