//! Stands before a broker, at the same port of another address of the loopback: within TLS, behind a login, and as bad as a
//! network. What the broker says of where it is, it makes say where the relay is.

use crate::authority::{Authority, Certified};
use crate::sasl::Gate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// Where it is.
pub const HOST: &str = "127.0.0.2";
const BROKER: &str = "127.0.0.1";
const TICK: Duration = Duration::from_millis(2);

/// What it does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Hands it on.
    Passes,
    /// Keeps it, with the connections.
    Stalls,
    /// Answers with something else.
    Raves,
    /// Closes all connections, and takes no more.
    Gone,
}

/// What it wants of whoever comes.
#[derive(Clone, Default)]
pub struct Wants {
    pub tls: Option<Arc<ServerConfig>>,
    pub login: Option<Gate>,
}

/// Gone on drop.
pub struct Relay {
    mood: Arc<RwLock<Mood>>,
    thread: Option<JoinHandle<()>>,
    pub port: u16,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// TLS for whoever comes, or for whom an authority knows.
pub fn tls(certified: &Certified, clients: Option<&Authority<'_>>) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&certified.certificate).expect("a file");
    let key = PrivateKeyDer::from_pem_file(&certified.key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(
                CertificateDer::pem_file_iter(&authority.file).expect("a file").flatten(),
            );
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        None => config.with_no_client_auth(),
    };
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    Arc::new(config.with_single_cert(chain, key).expect("they fit"))
}

impl Relay {
    pub fn start(port: u16, wants: Wants) -> Self {
        let listener = TcpListener::bind((HOST, port)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let mood = Arc::new(RwLock::new(Mood::Passes));
        let of_thread = Arc::clone(&mood);
        let thread = spawn(move || {
            let mut connections = Vec::new();
            while *of_thread.read().expect("nobody panics") != Mood::Gone {
                match listener.accept() {
                    Ok((client, _)) => {
                        let (mood, wants) = (Arc::clone(&of_thread), wants.clone());
                        // Whoever leaves within a handshake is no failure of a test.
                        connections.push(spawn(move || drop(serve(client, port, &mood, &wants))));
                    }
                    Err(_) => sleep(TICK),
                }
            }
            connections.into_iter().for_each(|connection| connection.join().expect("it ends"));
        });
        Self { mood, thread: Some(thread), port }
    }

    pub fn url(&self, scheme: &str, options: &str) -> String {
        format!("{scheme}://{HOST}:{}/flows{options}", self.port)
    }

    /// From the next bytes on: what is being handed on meanwhile is waited for.
    pub fn becomes(&self, mood: Mood) {
        *self.mood.write().expect("nobody panics") = mood;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.becomes(Mood::Gone);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(client: TcpStream, port: u16, mood: &RwLock<Mood>, wants: &Wants) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let handle = client.try_clone()?;
    let mut client: Box<dyn Stream> = match &wants.tls {
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(connection, client))
        }
        None => Box::new(client),
    };
    if let Some(gate) = &wants.login {
        gate.pass(&mut client)?;
    }
    let mut broker = TcpStream::connect((BROKER, port))?;
    handle.set_read_timeout(Some(TICK))?;
    broker.set_read_timeout(Some(TICK))?;
    loop {
        let now = mood.read().expect("nobody panics");
        match *now {
            Mood::Gone => return Ok(()),
            Mood::Stalls => sleep(TICK),
            Mood::Raves => {
                client.read_some()?;
                return client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>nonsense</html>");
            }
            Mood::Passes => {
                broker.write_all(&client.read_some()?)?;
                client.write_all(&elsewhere(broker.read_some()?))?;
            }
        }
    }
}

trait Some {
    fn read_some(&mut self) -> io::Result<Vec<u8>>;
}

impl<T: Read + ?Sized> Some for T {
    /// What there is, if anything.
    fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        match self.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                bytes.truncate(length);
                Ok(bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

fn elsewhere(mut bytes: Vec<u8>) -> Vec<u8> {
    let places: Vec<_> = bytes
        .windows(BROKER.len())
        .enumerate()
        .filter(|(_, part)| *part == BROKER.as_bytes())
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at..at + HOST.len()].copy_from_slice(HOST.as_bytes());
    }
    bytes
}
