//! JSON lines, posted to a URL. The answer says that they have arrived.

use crate::json::Fields;
use crate::login::Login;
use crate::peer::{Peer, Sent, Silence};
use crate::trust::{Security, Trust, said, said_at_all};
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Timeout};
use weir_record::FlowRecord;

const CONNECT: Duration = Duration::from_secs(5);
/// For a batch to be taken. Whoever needs longer is not waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// What is posted at once: half of what nginx takes unless it is told otherwise.
const LARGEST: usize = 512 * 1024;
/// What will not get better by being sent again: it is the batch that is wrong, not the moment.
const REFUSALS: [u16; 4] = [400, 413, 415, 422];

/// What nginx answers with 400, too, though no batch is wrong: by what its page says, and what that means.
const CONNECTIONS: [(&str, &str); 3] = [
    (
        "No required SSL certificate",
        "it wants a certificate from us: name one with cert_file=PATH and key_file=PATH",
    ),
    ("SSL certificate error", "it does not take our certificate"),
    ("sent to HTTPS port", "there it speaks HTTPS"),
];

/// Where, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The whole URL.
    pub url: String,
    /// As whom; as nobody without.
    pub login: Option<Login>,
    /// Whom TLS trusts.
    pub security: Security,
}

impl Address {
    /// What stands behind the question mark may be a secret of the server's.
    fn shown(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { login, security, .. } = self;
        let mut out = out.debug_struct("Address");
        out.field("url", &self.shown()).field("login", login).field("security", security).finish()
    }
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
        let Some((agent, login)) = &self.agent else { return Err(ErrorKind::NotConnected.into()) };
        let mut request = agent.post(&self.address.url).header("Content-Type", "application/x-ndjson");
        if let Some(login) = login {
            request = request.header("Authorization", login);
        }
        let response = request.send(body).map_err(|error| self.failed(why(&error)))?;
        let status = response.status();
        // The connection can be used again once all that it says was read.
        let mut page = Vec::new();
        let _ = response.into_body().into_reader().take(1 << 20).read_to_end(&mut page);
        match status.as_u16() {
            200..=299 => sent.answer = Some(format!("the server answers {status}")),
            400 if let Some(why) = wrong_connection(&page) => {
                return Err(self.failed(format_args!("the server answers {status}: {why}")));
            }
            code if REFUSALS.contains(&code) => {
                sent.refused += records;
                sent.why =
                    Some(self.failed(format_args!("the server refuses a batch: {status}")).to_string());
            }
            _ => return Err(self.failed(format_args!("the server answers {status}"))),
        }
        Ok(())
    }

    fn failed(&self, why: impl fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {why}", self.address.shown()))
    }
}

impl Peer for Http {
    fn connect(&mut self) -> io::Result<()> {
        let login = self.address.login.as_ref().map(Login::header).transpose()?;
        let mut config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        if self.address.url.starts_with("https:") {
            config = config.tls_config(tls(&self.address.security.read()?)?);
        }
        self.agent = Some((config.build().into(), login));
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

fn wrong_connection(page: &[u8]) -> Option<&'static str> {
    let page = String::from_utf8_lossy(page);
    CONNECTIONS.iter().find(|(says, _)| page.contains(says)).map(|(_, means)| *means)
}

/// What keeps us from an answer.
fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(Timeout::Resolve) => "DNS does not answer".into(),
        ureq::Error::Timeout(_) => format!("it does not answer within {} s", ANSWER.as_secs()),
        ureq::Error::Io(error) => said_at_all(error),
        ureq::Error::Rustls(error) => said(error),
        error => error.to_string(),
    }
}

/// The same for who speaks HTTP. That the key fits was seen before: it would panic.
fn tls(trust: &Trust) -> io::Result<TlsConfig> {
    let owned = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
    let all = |chain: &[CertificateDer<'_>]| chain.iter().map(owned).collect::<Vec<_>>();
    let identity = trust.identity.as_ref().map(|(chain, key)| {
        PrivateKey::from_pem(key).map(|key| ClientCert::new_with_certs(&all(chain), key))
    });
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&all(&trust.authorities)))
        .client_cert(identity.transpose().map_err(|_| io::Error::other("no private key"))?)
        .build())
}
