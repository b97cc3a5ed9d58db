//! HTTP over a Unix socket: what ureq needs to know of it.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error};

/// An HTTP client that speaks to one socket only; all that it is asked takes `patience` at most.
pub fn client(socket: PathBuf, patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(patience))
        .proxy(None)
        .max_redirects(0)
        .max_idle_connections(0)
        .build();
    Agent::with_parts(config, Socket(socket), Nowhere)
}

/// Where all connections go.
#[derive(Debug)]
struct Socket(PathBuf);

impl<In: Transport> Connector<In> for Socket {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails, _: Option<In>) -> Result<Option<Connection>, Error> {
        let stream =
            connected(&self.0, limit(&details.timeout)).map_err(|error| told(error, details.timeout))?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Connection { stream, buffers }))
    }
}

/// Who listens but does not accept is not waited for without end.
fn connected(path: &Path, limit: Option<Duration>) -> std::io::Result<UnixStream> {
    let (family, flags) = (AddressFamily::Unix, SockFlag::SOCK_CLOEXEC);
    let socket = socket(family, SockType::Stream, flags, None)?;
    let limit = limit.map_or(TimeVal::new(0, 0), |limit| {
        TimeVal::new(limit.as_secs().cast_signed(), i64::from(limit.subsec_micros()))
    });
    setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(limit(&timeout))?;
        self.stream.write_all(&self.buffers.output()[..amount]).map_err(|error| told(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(limit(&timeout))?;
        let read = self.stream.read(self.buffers.input_append_buf()).map_err(|error| told(error, timeout))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // None is used twice.
        false
    }
}

/// What is left of the time; there is always a little.
fn limit(timeout: &NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|left| (*left).max(Duration::from_millis(1)))
}

fn told(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

/// The host in an address of HTTP means nothing here.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}
