//! JSON lines, posted to a URL. The answer says that they have arrived.

use crate::json::Fields;
use crate::peer::{Peer, Sent, Silence};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use weir_record::FlowRecord;

const CONNECT: Duration = Duration::from_secs(5);
/// For a batch to be taken. Whoever needs longer is not waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// What is posted at once: half of what nginx takes unless it is told otherwise.
const LARGEST: usize = 512 * 1024;
/// Where distributions keep the authorities that they trust.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// What will not get better by being sent again: it is the batch that is wrong, not the moment.
const REFUSALS: [u16; 4] = [400, 413, 415, 422];

/// Where, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The whole URL.
    pub url: String,
    /// A file with a token that is sent along; read again at each connection.
    pub token: Option<PathBuf>,
    /// A file of authorities that are trusted instead of the system's.
    pub authorities: Option<PathBuf>,
}

/// A server.
pub struct Http {
    address: Address,
    fields: Fields,
    agent: Option<(Agent, Option<String>)>,
    body: Vec<u8>,
}

impl Http {
    /// There, of these fields, or all.
    pub fn new(address: Address, fields: Fields) -> Self {
        Self { address, fields, agent: None, body: Vec::new() }
    }

    /// Posts lines of so many records.
    fn post(&self, body: &[u8], records: u64, sent: &mut Sent) -> io::Result<()> {
        let Some((agent, token)) = &self.agent else { return Err(ErrorKind::NotConnected.into()) };
        let mut request = agent.post(&self.address.url).header("Content-Type", "application/x-ndjson");
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.send(body).map_err(|error| match error {
            ureq::Error::Io(error) => self.failed(error),
            error => self.failed(error),
        })?;
        let status = response.status();
        // What else it says is of no interest; the connection can be used again once it was read.
        let _ = io::copy(&mut io::Read::take(response.into_body().into_reader(), 1 << 20), &mut io::sink());
        match status.as_u16() {
            200..=299 => sent.answer = Some(format!("the server answers {status}")),
            code if REFUSALS.contains(&code) => {
                sent.refused += records;
                sent.why =
                    Some(self.failed(format_args!("the server refuses a batch: {status}")).to_string());
            }
            _ => return Err(self.failed(format_args!("the server answers {status}"))),
        }
        Ok(())
    }

    fn failed(&self, why: impl std::fmt::Display) -> io::Error {
        // What stands behind the question mark may be a secret of the server's.
        let url = self.address.url.split('?').next().unwrap_or_default();
        io::Error::other(format!("{url}: {why}"))
    }
}

impl Peer for Http {
    fn connect(&mut self) -> io::Result<()> {
        let token = self.address.token.as_deref().map(token).transpose()?;
        let mut config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        if self.address.url.starts_with("https:") {
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .root_certs(RootCerts::new_with_certs(&authorities(self.address.authorities.as_deref())?));
            config = config.tls_config(tls.build());
        }
        self.agent = Some((config.build().into(), token));
        Ok(())
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let (mut sent, mut body) = (Sent::default(), std::mem::take(&mut self.body));
        body.clear();
        let mut count = 0;
        for (at, record) in records.iter().enumerate() {
            self.fields.put(&mut body, record)?;
            body.push(b'\n');
            count += 1;
            if body.len() >= LARGEST || at + 1 == records.len() {
                self.post(&body, count, &mut sent)?;
                (sent.bytes, count) = (sent.bytes + body.len(), 0);
                body.clear();
            }
        }
        self.body = body;
        Ok(sent)
    }

    fn disconnect(&mut self) {
        self.agent = None;
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}

fn token(path: &Path) -> io::Result<String> {
    let text = read(path)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(io::Error::other(format!("{} holds no token: one word, in one line", path.display())));
    }
    Ok(token.to_owned())
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
        .map_err(|error| io::Error::other(format!("cannot read {}: {error}", path.display())))
}

/// Those of a file, else those of the system.
fn authorities(file: Option<&Path>) -> io::Result<Vec<Certificate<'static>>> {
    let path = match file {
        Some(file) => file,
        None => AUTHORITIES.iter().map(Path::new).find(|path| path.exists()).ok_or_else(|| {
            io::Error::other("this host trusts no authorities: name a file with ca_file=PATH")
        })?,
    };
    let pem = read(path)?;
    let found: Vec<_> = parse_pem(pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(io::Error::other(format!("{} holds no certificate (PEM)", path.display())));
    }
    Ok(found)
}
