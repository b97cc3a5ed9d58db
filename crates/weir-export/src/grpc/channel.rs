//! A connection of HTTP/2, and calls over it. It lives on a runtime of its own, which turns while somebody waits for it.

use super::codec::Raw;
use super::socket::{Cause, Heard};
use crate::link::{Place, each, named, stream};
use crate::login::Login;
use crate::peer::Later;
use crate::trust::{Security, said_at_all};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{self, Endpoint};
use tonic::{Request, Status};
use ureq::http::Uri;
use ureq::http::uri::PathAndQuery;

/// For hands to be shaken, and for a batch to be taken: whoever needs longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What whoever refuses us may take for it, beside the way: in TLS 1.3 we are through before our certificate was looked at.
const REFUSAL: Duration = Duration::from_millis(100);
/// What is known where no error was heard.
const ENDED: &str = "it has closed the connection, or speaks no HTTP/2";
/// As whom we call.
const AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// Where, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The host, and its port.
    pub place: Place,
    /// Within TLS, and whom that trusts; in the clear without.
    pub security: Option<Security>,
    /// As whom; as nobody without.
    pub login: Option<Login>,
}

/// Why a batch is not taken now.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub why: String,
    /// How long the server wants to be left alone, if it says so.
    pub wait: Option<Duration>,
}

impl Refusal {
    /// What was no answer at all.
    pub fn broken(error: &(dyn Error + 'static)) -> Self {
        Self { why: cause(error), wait: None }
    }
}

/// Calls one method of one server.
pub struct Channel {
    address: Address,
    open: Option<Open>,
}

/// What stands between connecting and disconnecting.
struct Open {
    // Before the runtime, on which it lives.
    calls: tonic::client::Grpc<transport::Channel>,
    runtime: Runtime,
    method: PathAndQuery,
    login: Option<MetadataValue<Ascii>>,
    local: Option<IpAddr>,
    /// Whether anything was answered.
    has_answered: bool,
}

impl Channel {
    /// There.
    pub fn new(address: Address) -> Self {
        Self { address, open: None }
    }

    /// Connects anew, to call this method.
    pub fn connect(&mut self, method: &'static str) -> io::Result<()> {
        self.open = None;
        let open = self.address.open(method);
        self.open = Some(open.map_err(|error| named("cannot connect to", &self.address.place, &error))?);
        Ok(())
    }

    /// The address that we have there.
    pub fn local(&self) -> Option<IpAddr> {
        self.open.as_ref()?.local
    }

    /// Whether somebody was there before, and what is said now is that the connection has ended: what has happened between
    /// two calls is heard in the second one.
    pub fn has_ended(&self, status: &Status) -> bool {
        let has_answered = self.open.as_ref().is_some_and(|open| open.has_answered);
        has_answered && status.source().is_some_and(|error| !is_silence(error))
    }

    /// Sends a message, and gives what was answered.
    pub fn call(&mut self, message: &[u8]) -> Result<Vec<u8>, Status> {
        let Some(open) = &mut self.open else { return Err(broken(ErrorKind::NotConnected.into())) };
        let mut request = Request::new(message.to_vec());
        if let Some(login) = &open.login {
            request.metadata_mut().insert("authorization", login.clone());
        }
        let (calls, method) = (&mut open.calls, open.method.clone());
        let call = async {
            calls.ready().await.map_err(|error| Status::from_error(error.into()))?;
            calls.unary(request, method, Raw).await
        };
        let call = async { timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(broken(silent()))) };
        // tonic 0.14 panics at a `grpc-status-details-bin` that is no Base64, which is the server's to send.
        let answered = catch_unwind(AssertUnwindSafe(|| open.runtime.block_on(call)));
        let answered = answered.unwrap_or_else(|_| Err(broken(io::Error::other("what it says is not gRPC"))));
        open.has_answered |= answered.as_ref().map_or_else(|status| status.source().is_none(), |_| true);
        answered.map(tonic::Response::into_inner)
    }

    /// Forgets the connection, and all that was read.
    pub fn disconnect(&mut self) {
        self.open = None;
    }

    /// An answer of one that takes nothing now, and may have said until when.
    pub fn not_now(&self, refusal: Refusal) -> io::Error {
        let failed = self.failed(refusal.why);
        match refusal.wait {
            Some(wait) => Later::error(wait, &failed),
            None => failed,
        }
    }

    /// Says of whom it is.
    pub fn failed(&self, why: impl fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {why}", self.address.place))
    }
}

impl Address {
    /// The files that say who may be trusted, and who we are, are read anew.
    fn open(&self, method: &'static str) -> io::Result<Open> {
        let login = self.login.as_ref().map(Login::header).transpose()?;
        let login = login.map(|login| login.parse()).transpose();
        let mut login: Option<MetadataValue<Ascii>> =
            login.map_err(|_| io::Error::other("its user has a name that no header can say"))?;
        login.iter_mut().for_each(|login| login.set_sensitive(true));
        let tls = self.security.as_ref().map(Security::read).transpose()?;
        let socket = each(&self.place, stream)?;
        let local = socket.local_addr().ok().map(|address| address.ip());
        socket.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let opened = runtime.block_on(async {
            let socket = TcpStream::from_std(socket)?;
            match tls {
                Some(tls) => self.channel(self.secured(socket, (*tls.config).clone()).await?).await,
                None => self.channel(socket).await,
            }
        });
        Ok(Open {
            calls: tonic::client::Grpc::new(opened?),
            runtime,
            method: PathAndQuery::from_static(method),
            login,
            local,
            has_answered: false,
        })
    }

    /// TLS over it, with whoever proves to be the host.
    async fn secured(&self, socket: TcpStream, mut config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.place.host.clone())
            .map_err(|_| io::Error::other("no certificate can have such a name"))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let start = Instant::now();
        let shaken = timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, socket)).await;
        let shaken = shaken.map_err(|_| {
            io::Error::other(format!("it does not answer in TLS for {} s", PATIENCE.as_secs()))
        })?;
        let shaken = shaken.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => io::Error::other("it closes the connection when it should begin TLS"),
            _ => io::Error::other(said_at_all(&error)),
        })?;
        // Whoever does not refuse us says something, too: tickets, and settings of HTTP/2.
        let _ = timeout(start.elapsed() + REFUSAL, shaken.get_ref().0.peek(&mut [0])).await;
        Ok(shaken)
    }

    /// HTTP/2 over what has been connected. When that ends, the next connection is the courier's to make.
    async fn channel<S>(&self, socket: S) -> io::Result<transport::Channel>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let scheme = if self.security.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.place))
            .and_then(|endpoint| endpoint.user_agent(AGENT))
            .map_err(io::Error::other)?;
        let heard = Cause::default();
        let socket = Mutex::new(Some(TokioIo::new(Heard::new(socket, heard.clone()))));
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
            let why = || heard.take().unwrap_or_else(|| ENDED.into());
            std::future::ready(socket.ok_or_else(|| io::Error::other(why())))
        });
        let connected = timeout(PATIENCE, endpoint.connect_with_connector(connector)).await;
        connected.map_err(|_| silent())?.map_err(|error| io::Error::other(cause(&error)))
    }
}

fn silent() -> io::Error {
    let why = format!("it does not answer within {} s", PATIENCE.as_secs());
    io::Error::new(ErrorKind::TimedOut, why)
}

fn is_silence(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::TimedOut)
}

/// That there is no answer.
fn broken(error: io::Error) -> Status {
    let mut status = Status::unavailable("");
    status.set_source(Arc::new(error));
    status
}

/// What lies below what tonic says: the last cause, and that of TLS in our words.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    loop {
        if let Some(error) = last.downcast_ref::<io::Error>() {
            return said_at_all(error);
        }
        match last.source() {
            Some(source) => last = source,
            None => return format!("it breaks off: {last}"),
        }
    }
}
