//! Listening, and the connections.

use crate::respond::Room;
use crate::{Access, Endpoint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::sleep;

/// Connections at the same time; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Threads that answer at most: what is light, queries and streams together.
const THREADS: usize = 64;
/// Statements nest: memory that is only taken where they do.
const STACK: usize = 16 << 20;
/// From the connection, or the last answer, to the end of the next request's head.
const TIME_TO_ASK: Duration = Duration::from_secs(10);
/// How long the kernel keeps a connection whose other end takes nothing (tcp(7), `TCP_USER_TIMEOUT`).
const TIME_TO_READ_MS: u32 = 30_000;
/// Seconds of silence after which the kernel asks whether the other end is still there, and between one such question and
/// the next; after two without an answer it is gone.
const SILENCE: u32 = 15;
const QUESTIONS: u32 = 2;
/// After an accept(2) that fails for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// For answers that have not ended when the server does.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// The address is not to be had.
    #[error("cannot listen on {0}: {1}")]
    Address(SocketAddr, #[source] io::Error),
    /// There are no threads to be had.
    #[error("cannot start the HTTP server: {0}")]
    Start(#[source] io::Error),
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// None once it shall end.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and serves these endpoints; a query may take so long.
    ///
    /// # Errors
    /// The address is not to be had, or no thread.
    pub fn listen(
        address: SocketAddr,
        endpoints: Vec<Endpoint>,
        access: Access,
        patience: Duration,
    ) -> Result<Self, Unheard> {
        let listener = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = listener.map_err(|error| Unheard::Address(address, error))?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("weir-answer")
            .thread_stack_size(STACK)
            .max_blocking_threads(THREADS)
            .build()
            .map_err(Unheard::Start)?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener).map_err(Unheard::Start)?
        };
        let (end, ended) = oneshot::channel();
        let room = Arc::new(Room::new(endpoints, access, patience));
        let thread = thread::Builder::new()
            .name("weir-http".into())
            .spawn(move || run(runtime, listener, room, ended))
            .map_err(Unheard::Start)?;
        Ok(Self { address, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(runtime: Runtime, listener: TcpListener, room: Arc<Room>, ended: oneshot::Receiver<()>) {
    runtime.block_on(async {
        // What has been accepted goes on in tasks of its own, until the runtime ends.
        tokio::spawn(serve(listener, room));
        let _ = ended.await;
    });
    // Connections go with their tasks, and what writes to them sees that nobody reads.
    runtime.shutdown_timeout(FAREWELL);
}

async fn serve(listener: TcpListener, room: Arc<Room>) -> Infallible {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            sleep(PAUSE).await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, client)) => {
                tokio::spawn(converse(stream, client, Arc::clone(&room), permit));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, client: SocketAddr, room: Arc<Room>, permit: OwnedSemaphorePermit) {
    let Ok(server) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, TcpUserTimeout, &TIME_TO_READ_MS);
    let _ = setsockopt(&stream, KeepAlive, &true);
    let _ = setsockopt(&stream, TcpKeepIdle, &SILENCE);
    let _ = setsockopt(&stream, TcpKeepInterval, &SILENCE);
    let _ = setsockopt(&stream, TcpKeepCount, &QUESTIONS);
    let answer = service_fn(|request| {
        let room = Arc::clone(&room);
        async move { Ok::<_, Infallible>(room.respond(request, (client, server)).await) }
    });
    // How a client ends its connection is its own business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIME_TO_ASK)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    drop(permit);
}
