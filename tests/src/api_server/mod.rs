//! A Kubernetes API server, as far as reading goes: list and watch over HTTPS, with pages, bookmarks, field selectors,
//! metadata on its own, forgotten history (410 Gone), and tokens or client certificates. U+FFFD in an object is sent as a
//! byte that is no UTF-8, which a real one would not do.

mod certificates;
mod objects;
mod request;
mod store;

pub use certificates::Certificates;
pub use objects::{Pod, endpoints, made_by, node, service};

use request::Request;
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};
use store::{Store, status};

/// The token that it takes.
pub const TOKEN: &str = "the-token-of-weir";
/// Where pods are.
pub const PODS: &str = "/api/v1/pods";
/// Where services are.
pub const SERVICES: &str = "/api/v1/services";
/// Where nodes are.
pub const NODES: &str = "/api/v1/nodes";
/// Where endpoint slices are.
pub const ENDPOINTS: &str = "/apis/discovery.k8s.io/v1/endpointslices";
/// Where ReplicaSets are.
pub const REPLICA_SETS: &str = "/apis/apps/v1/replicasets";
/// Where Jobs are.
pub const JOBS: &str = "/apis/batch/v1/jobs";

const BOOKMARKS: Duration = Duration::from_millis(100);
const GLANCE: Duration = Duration::from_millis(10);

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// A server on loopback, gone on drop.
pub struct ApiServer {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    address: SocketAddr,
    folder: PathBuf,
}

struct Shared {
    store: Mutex<Store>,
    changed: Condvar,
    certificates: Certificates,
    connections: Mutex<Vec<TcpStream>>,
    away: AtomicBool,
    over: AtomicBool,
}

impl ApiServer {
    /// In the network namespace of whoever calls, on a port of the kernel's choice.
    #[expect(clippy::new_without_default, reason = "it has effects outside the process")]
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let folder =
            std::env::temp_dir().join(format!("weirt-api-{}-{}", std::process::id(), address.port()));
        std::fs::create_dir(&folder).expect("a folder");
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            changed: Condvar::new(),
            certificates: Certificates::new(),
            connections: Mutex::default(),
            away: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let (inside, listener) = (Arc::clone(&shared), Some(listener));
        let acceptor = thread::spawn(move || accept(&inside, listener, address));
        Self { shared, acceptor: Some(acceptor), address, folder }
    }

    /// `https://…`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.shared.certificates
    }

    /// A kubeconfig file with a token.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_with(&self.certificates().authority, &format!("{{token: {TOKEN}}}"))
    }

    /// A kubeconfig file with another CA, or another user.
    pub fn kubeconfig_with(&self, authority: &str, user: &str) -> PathBuf {
        let path = self.folder.join("kubeconfig");
        let ca = self.file("ca.crt", authority);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n\
             clusters: [{{name: test, cluster: {{server: \"{}\", certificate-authority: {}}}}}]\n\
             users: [{{name: test, user: {user}}}]\n",
            self.url(),
            ca.display()
        );
        std::fs::write(&path, text).expect("it is written");
        path
    }

    /// A file beside it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = Path::new(&self.folder).join(name);
        std::fs::write(&path, text).expect("it is written");
        path
    }

    /// Makes or changes an object.
    pub fn set(&self, path: &str, object: Value) {
        self.store().set(path, object);
        self.shared.changed.notify_all();
    }

    /// Removes an object.
    pub fn remove(&self, path: &str, namespace: &str, name: &str) {
        self.store().remove(path, namespace, name);
        self.shared.changed.notify_all();
    }

    /// Forgets how it came to be as it is: who was not there has to list again.
    pub fn forget(&self) {
        self.store().forget();
    }

    /// The next page that continues a list is refused once, as too old to be continued.
    pub fn refuse_next_page(&self) {
        self.store().refuses_next_page = true;
    }

    /// This kind of object may not be read from now on.
    pub fn forbid(&self, path: &str) {
        self.store().forbidden.insert(path.to_owned());
    }

    /// Every kind of object may be read.
    pub fn allow(&self) {
        self.store().forbidden.clear();
    }

    /// Closes every connection.
    pub fn cut(&self) {
        let mut connections = lock(&self.shared.connections);
        connections.drain(..).for_each(|one| drop(one.shutdown(Shutdown::Both)));
    }

    /// Nobody listens any more, until [`come_back`](Self::come_back).
    pub fn go_away(&self) {
        self.shared.away.store(true, Ordering::SeqCst);
        // Whoever was just being accepted is cut off, too.
        sleep(5 * GLANCE);
        self.cut();
    }

    /// At the same address.
    pub fn come_back(&self) {
        self.shared.away.store(false, Ordering::SeqCst);
    }

    /// What was asked, in order.
    pub fn requests(&self) -> Vec<String> {
        self.store().requests.clone()
    }

    /// How many watches go on.
    pub fn watches(&self) -> usize {
        self.store().watches
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.shared.store)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.cut();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(shared: &Arc<Shared>, mut listener: Option<TcpListener>, address: SocketAddr) {
    while !shared.over.load(Ordering::SeqCst) {
        if shared.away.load(Ordering::SeqCst) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
        }
        let Some(listener) = &listener else {
            sleep(GLANCE);
            continue;
        };
        listener.set_nonblocking(true).expect("a socket");
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("a socket");
                stream.set_nodelay(true).expect("a socket");
                lock(&shared.connections).push(stream.try_clone().expect("a socket"));
                let shared = Arc::clone(shared);
                thread::spawn(move || serve(&shared, stream));
            }
            Err(_) => sleep(GLANCE),
        }
    }
}

/// Answers one client until it, or the test, has had enough.
fn serve(shared: &Shared, stream: TcpStream) {
    let connection = ServerConnection::new(shared.certificates.server.clone()).expect("it is configured");
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Ok(Some(request)) = Request::read(&mut stream) {
        if answer(shared, stream.get_mut(), &request).is_err() {
            return;
        }
    }
}

fn answer(shared: &Shared, stream: &mut Stream, request: &Request) -> io::Result<()> {
    lock(&shared.store).requests.push(request.target.clone());
    let token = request.headers.get("authorization").is_some_and(|value| *value == format!("Bearer {TOKEN}"));
    if !token && stream.conn.peer_certificates().is_none() {
        return respond(stream, 401, &status(401));
    }
    if lock(&shared.store).forbidden.contains(&request.path) {
        return respond(stream, 403, &status(403));
    }
    if request.query.contains_key("watch") {
        return watch(shared, stream, request);
    }
    let (code, page) = lock(&shared.store).list(request);
    respond(stream, code, &page)
}

fn respond(stream: &mut Stream, code: u16, value: &Value) -> io::Result<()> {
    let body = bytes(value);
    write!(stream, "HTTP/1.1 {code} As Said\r\nContent-Type: application/json\r\n")?;
    write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(&body)?;
    stream.flush()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.to_string();
    let parts: Vec<_> = text.split('\u{fffd}').map(str::as_bytes).collect();
    parts.join(&0xff)
}

fn watch(shared: &Shared, stream: &mut Stream, request: &Request) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    lock(&shared.store).watches += 1;
    let outcome = tell(shared, stream, request);
    lock(&shared.store).watches -= 1;
    outcome
}

fn tell(shared: &Shared, stream: &mut Stream, request: &Request) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(request.number("timeoutSeconds").unwrap_or(1800));
    let mut version = request.number("resourceVersion").unwrap_or(0);
    while Instant::now() < end && !shared.over.load(Ordering::SeqCst) {
        let store = lock(&shared.store);
        let Some((events, now)) = store.since(request, version) else {
            drop(store);
            return chunk(stream, &json!({"type": "ERROR", "object": status(410)}))
                .and_then(|()| finish(stream));
        };
        if events.is_empty() {
            // What waits hears of nothing but bookmarks.
            let (store, waited) =
                shared.changed.wait_timeout(store, BOOKMARKS).unwrap_or_else(PoisonError::into_inner);
            drop(store);
            if waited.timed_out() && request.query.contains_key("allowWatchBookmarks") {
                let object = json!({"kind": "Pod", "metadata": {"resourceVersion": now.to_string()}});
                chunk(stream, &json!({"type": "BOOKMARK", "object": object}))?;
                version = now;
            }
            continue;
        }
        drop(store);
        events.iter().try_for_each(|event| chunk(stream, event))?;
        version = now;
    }
    finish(stream)
}

fn chunk(stream: &mut Stream, event: &Value) -> io::Result<()> {
    let line = bytes(event);
    write!(stream, "{:x}\r\n", line.len() + 1)?;
    stream.write_all(&line)?;
    stream.write_all(b"\n\r\n")?;
    stream.flush()
}

fn finish(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(b"0\r\n\r\n")?;
    stream.flush()
}
