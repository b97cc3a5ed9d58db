//! A connection: datagrams, or a stream.

use crate::peer::Silence;
use crate::tls::Secured;
use crate::trust::Security;
use nix::errno::Errno;
use nix::libc::IPPROTO_SCTP;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, setsockopt, socket,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// To look a name up, to connect, and to write: longer is as good as never.
const PATIENCE: Duration = Duration::from_secs(5);
/// Headers of IP and UDP before a message.
const HEADERS: [usize; 2] = [28, 48];
/// By then it is heard that nobody takes datagrams there, if it is heard at all.
const LATE: Duration = Duration::from_millis(2500);
/// What lies at most in the buffers between a stream's ends, where the far end reads at all.
const ON_THE_WAY: usize = 4 << 20;
/// What lies at most in our own kernel: it may be lost with the connection.
const SEND_BUFFER: usize = 256 * 1024;
/// What a far end that has nothing more to read may take to close, too.
const FAREWELL: Duration = Duration::from_secs(1);
/// What a datagram can hold at all.
pub const LARGEST_DATAGRAM: usize = 65_507;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A name or an address; one of IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

/// How to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp(Place),
    /// A stream over the network.
    Tcp(Place),
    /// The same within TLS.
    Tls(Place, Security),
    /// Messages in order, of which none is lost as long as the association stands.
    Sctp(Place),
    /// A stream on this host.
    Unix(PathBuf),
}

impl fmt::Display for Transport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(place) | Self::Tcp(place) | Self::Tls(place, _) | Self::Sctp(place) => place.fmt(out),
            Self::Unix(path) => path.display().fmt(out),
        }
    }
}

/// One that stands.
#[derive(Debug)]
pub enum Link {
    /// Datagrams to one address.
    Datagrams(UdpSocket),
    /// Over the network.
    Stream(TcpStream),
    /// Over the network, in TLS.
    Secured(Box<Secured>),
    /// Messages over the network.
    Messages(Socket),
    /// On this host.
    Local(UnixStream),
}

impl Transport {
    /// Connects, and says where in what goes wrong.
    pub fn connect(&self) -> io::Result<Link> {
        let link = match self {
            Self::Udp(place) => each(place, datagrams).map(Link::Datagrams),
            Self::Tcp(place) => each(place, stream).map(Link::Stream),
            Self::Tls(place, security) => secured(place, security).map(Box::new).map(Link::Secured),
            Self::Sctp(place) => each(place, messages).map(Link::Messages),
            Self::Unix(path) => local(path).map(Link::Local),
        };
        link.map_err(|error| named("cannot connect to", self, &error))
    }

    /// Whether it loses without a word.
    pub fn is_datagrams(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    /// What is heard from there of what was sent: nothing, whatever is spoken.
    pub fn silence(&self) -> Silence {
        if self.is_datagrams() { Silence::Time(LATE) } else { Silence::Bytes(ON_THE_WAY) }
    }

    /// That nothing more can be sent there.
    pub fn cut_off(&self, error: &io::Error) -> io::Error {
        named("cannot send to", self, error)
    }
}

/// An error, with what it was and where.
pub fn named(what: &str, place: &impl fmt::Display, error: &io::Error) -> io::Error {
    // A write that has waited for too long says to try again.
    let why = match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it takes nothing for 5 s".into(),
        ErrorKind::UnexpectedEof => "it has closed the connection".into(),
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("{what} {place}: {why}"))
}

/// Of the addresses of a host the first that will do.
pub fn each<T>(place: &Place, connect: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in resolve(place)? {
        match connect(address) {
            Ok(connected) => return Ok(connected),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The addresses of a host. A resolver that does not answer keeps a thread, not us.
fn resolve(place: &Place) -> io::Result<Vec<SocketAddr>> {
    let wanted = (place.host.clone(), place.port);
    let (tell, told) = channel();
    thread::Builder::new().name("weir-resolve".into()).spawn(move || {
        let _ = tell.send(wanted.to_socket_addrs().map(Iterator::collect));
    })?;
    match told.recv_timeout(PATIENCE) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => {
            Err(io::Error::new(ErrorKind::HostUnreachable, "DNS does not answer"))
        }
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its name cannot be looked up")),
    }
}

fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

pub fn stream(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A batch is written as a whole.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One association, one socket (RFC 6458, section 4): what is written at once is a message.
fn messages(address: SocketAddr) -> io::Result<Socket> {
    let protocol = Some(Protocol::from(IPPROTO_SCTP));
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, protocol).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPROTONOSUPPORT) => io::Error::new(
                ErrorKind::Unsupported,
                "this kernel has no SCTP (modprobe sctp), or may not load it",
            ),
            _ => error,
        }
    })?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.connect_timeout(&address.into(), PATIENCE)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn secured(place: &Place, security: &Security) -> io::Result<Secured> {
    let config = security.read()?.config;
    each(place, |address| Secured::over(stream(address)?, &place.host, config.clone(), PATIENCE))
}

/// Does not wait for a listener whose queue is full: it is away.
fn local(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let stream = UnixStream::from(socket);
    setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER)?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Link {
    /// Sends one datagram or message, or some of a stream.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => socket.send(bytes).map(drop),
            Self::Stream(stream) => stream.write_all(bytes),
            Self::Secured(secured) => secured.put(bytes),
            Self::Messages(socket) => socket.send(bytes).map(drop),
            Self::Local(stream) => stream.write_all(bytes),
        }
    }

    /// Whether somebody is there still. Of what a peer says in return nothing is of interest.
    pub fn look(&mut self) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => socket.take_error()?.map_or(Ok(()), Err),
            Self::Stream(stream) => {
                let seen = drained(stream);
                // Of a reset that follows an end in order only the end is read.
                stream.take_error()?.map_or(seen, Err)
            }
            Self::Secured(secured) => secured.look(),
            Self::Messages(socket) => {
                let seen = drained(socket);
                socket.take_error()?.map_or(seen, Err)
            }
            Self::Local(stream) => drained(stream),
        }
    }

    /// As much as a datagram may have in order not to be cut into pieces on its way, as far as that is known.
    pub fn whole_datagram(&self) -> Option<usize> {
        let Self::Datagrams(socket) = self else { return None };
        let is_v6 = socket.peer_addr().is_ok_and(|address| address.is_ipv6());
        // By the level of IPv4: on a socket of IPv6 it says the same as IPV6_MTU, for which there is no safe call.
        let told = getsockopt(socket, sockopt::IpMtu).ok().and_then(|mtu| usize::try_from(mtu).ok());
        // The least that it may be.
        let mtu = told.or(is_v6.then_some(1280))?;
        Some(usize::saturating_sub(mtu, HEADERS[usize::from(is_v6)]).clamp(512, LARGEST_DATAGRAM))
    }

    /// The address that we have on it; that of this host itself where it goes nowhere else.
    pub fn local(&self) -> io::Result<IpAddr> {
        let address = match self {
            Self::Datagrams(socket) => socket.local_addr(),
            Self::Stream(stream) => stream.local_addr(),
            Self::Secured(secured) => secured.local_addr(),
            Self::Messages(socket) => {
                let address = socket.local_addr()?.as_socket();
                address.ok_or_else(|| io::Error::other("it has no address"))
            }
            Self::Local(_) => return Ok(Ipv4Addr::LOCALHOST.into()),
        };
        address.map(|address| address.ip())
    }

    /// Nothing more comes.
    pub fn close(mut self) {
        self.end();
    }

    /// Nothing more comes; waits a moment until that was read there, and the far end closes, too.
    pub fn leave(mut self) -> io::Result<()> {
        self.end();
        match self {
            Self::Datagrams(_) => Ok(()),
            Self::Stream(stream) => closed(&stream),
            Self::Secured(secured) => closed(secured.stream()),
            Self::Messages(socket) => closed(&socket),
            Self::Local(stream) => closed(&stream),
        }
    }

    fn end(&mut self) {
        let _ = match self {
            Self::Datagrams(_) => Ok(()),
            Self::Stream(stream) => stream.shutdown(Shutdown::Write),
            Self::Messages(socket) => socket.shutdown(Shutdown::Write),
            Self::Secured(secured) => {
                secured.end();
                Ok(())
            }
            Self::Local(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

/// Waits a moment for the end, whatever comes before it.
fn closed(stream: &impl AsFd) -> io::Result<()> {
    let deadline = Instant::now() + FAREWELL;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut waiting = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut waiting, patience) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) => match drained(&stream.as_fd()) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                seen => seen?,
            },
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads what there is: nothing is to come as a rule, and the end when it closes.
fn drained(stream: &impl AsRawFd) -> io::Result<()> {
    let mut nobody_reads = [0; 4096];
    for _ in 0..64 {
        match recv(stream.as_raw_fd(), &mut nobody_reads, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(Errno::EAGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
