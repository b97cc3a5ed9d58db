//! Who posts over HTTP, and as whom.

use crate::login::Login;
use crate::peer::Later;
use crate::trust::{Security, Trust, said, said_at_all};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use rustls::pki_types::CertificateDer;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, BodyReader, Timeout};

const CONNECT: Duration = Duration::from_secs(5);
/// For a batch to be taken. Whoever needs longer is not waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// Where, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The whole URL.
    pub url: String,
    /// As whom; as nobody without.
    pub login: Option<Login>,
    /// Whom TLS trusts.
    pub security: Security,
    /// Whether it has a name, and nobody needs its path to know which it is.
    pub is_named: bool,
}

impl Address {
    /// What stands behind the question mark may be a secret of the server's, and so may the path be: that of a webhook is.
    fn shown(&self) -> Cow<'_, str> {
        let url = self.url.split('?').next().unwrap_or_default();
        let host = url.find("://").map_or(0, |at| at + 3);
        let path = url[host..].find('/').map_or(url.len(), |at| host + at + 1);
        if self.is_named && path < url.len() { format!("{}…", &url[..path]).into() } else { url.into() }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { login, security, is_named, .. } = self;
        let mut out = out.debug_struct("Address");
        out.field("url", &self.shown()).field("login", login).field("security", security);
        out.field("is_named", is_named).finish()
    }
}

/// Posts to one server.
pub struct Client {
    address: Address,
    open: Option<(Agent, Option<String>)>,
}

/// What is posted.
pub struct Post<'b> {
    /// What stands behind the server's URL.
    pub query: &'b str,
    /// What it is.
    pub content_type: &'b str,
    /// What else is said of it.
    pub headers: &'b [(&'static str, &'static str)],
    /// All of it.
    pub body: &'b [u8],
}

/// What was answered.
pub struct Reply {
    /// How it went.
    pub status: StatusCode,
    /// How long it wants to be left alone.
    pub wait: Option<Duration>,
    /// As much of the text as is of use.
    pub page: Vec<u8>,
}

impl Client {
    /// Of this server.
    pub fn new(address: Address) -> Self {
        Self { address, open: None }
    }

    /// Reads the files anew that say who may be trusted, and who we are.
    pub fn connect(&mut self) -> io::Result<()> {
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
        self.open = Some((config.build().into(), login));
        Ok(())
    }

    /// Forgets all that was read.
    pub fn disconnect(&mut self) {
        self.open = None;
    }

    /// Posts, and gives what was answered.
    pub fn post(&self, post: &Post<'_>) -> io::Result<Reply> {
        let Some((agent, login)) = &self.open else { return Err(ErrorKind::NotConnected.into()) };
        let url = format!("{}{}", self.address.url, post.query);
        let mut request = agent.post(url).header("Content-Type", post.content_type);
        for (name, value) in post.headers {
            request = request.header(*name, *value);
        }
        if let Some(login) = login {
            request = request.header("Authorization", login);
        }
        let response = request.send(post.body).map_err(|error| self.failed(why(&error)))?;
        let status = response.status();
        let wait = retry_after(response.headers(), Timestamp::now());
        // The connection can be used again once all that it says was read.
        let mut page = Vec::new();
        let _ = response.into_body().into_reader().take(1 << 20).read_to_end(&mut page);
        Ok(Reply { status, wait, page })
    }

    /// What posts this question and gives the answer, its status and then what it says as it comes: in whatever thread, and
    /// for as long as that takes.
    pub fn asking(
        &self,
        question: String,
    ) -> io::Result<impl FnOnce() -> io::Result<(StatusCode, BodyReader<'static>)> + Send + use<>> {
        let Some((agent, login)) = &self.open else { return Err(ErrorKind::NotConnected.into()) };
        let mut request = agent.post(&self.address.url).config().timeout_global(None).build();
        if let Some(login) = login {
            request = request.header("Authorization", login);
        }
        let about = self.about();
        Ok(move || {
            let response = request
                .send(question)
                .map_err(|error| io::Error::other(format!("{about}: {}", why(&error))))?;
            Ok((response.status(), response.into_body().into_reader()))
        })
    }

    /// Of whom an error is.
    pub fn about(&self) -> String {
        self.address.shown().into_owned()
    }

    /// An answer of one that takes nothing now, and may have said until when.
    pub fn not_now(&self, reply: &Reply, why: impl fmt::Display) -> io::Error {
        let failed = self.failed(why);
        match reply.wait {
            Some(wait) => Later::error(wait, &failed),
            None => failed,
        }
    }

    /// Says of whom it is.
    pub fn failed(&self, why: impl fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {why}", self.address.shown()))
    }
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

/// How long it wants to be left alone (RFC 9110, section 10.2.3): seconds, or until a point in time.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text).ok()?.timestamp();
    Some(until.duration_since(now).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Kind, Target};

    fn wait(text: &str) -> Option<Duration> {
        let now = "2026-01-02T03:04:05Z".parse().expect("a time");
        let value = header::HeaderValue::from_str(text).expect("a value");
        retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value)]), now)
    }

    /// What is said of one that this URL asks for.
    fn said(url: &str) -> String {
        let target: Target = url.parse().expect("a URL");
        let Kind::Http(address) = target.kind else { panic!("over HTTP") };
        assert!(format!("{address:?}").contains(&format!("{:?}", address.shown())), "{address:?}");
        Client::new(address).failed("503").to_string()
    }

    #[test]
    fn of_one_that_has_a_name_only_the_host_is_said() {
        let url = "https://hooks.example:8443/services/T0/B1?tenant=7";
        assert_eq!(said(url), "https://hooks.example:8443/services/T0/B1: 503");
        assert_eq!(said(&format!("{url}&name=chat")), "https://hooks.example:8443/…: 503");
        assert_eq!(said("http://in.example/?name=in"), "http://in.example/: 503");
        assert_eq!(said("http://[2001:db8::1]?name=in"), "http://[2001:db8::1]: 503");
    }

    #[test]
    fn both_kinds_of_retry_after() {
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Fri, 02 Jan 2026 03:05:05 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Fri, 02 Jan 2026 03:04:00 GMT"), Some(Duration::ZERO));
        assert_eq!([wait("soon"), wait("-1"), wait("1.5"), wait("")], [None; 4]);
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }
}
