//! One connection to the server: a page of a list, or a watch.

use crate::access::{Access, Answers, Credentials};
use crate::error::Failure;
use crate::resource::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use weir_record::around;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// For a page to come in whole.
const PAGE: Duration = Duration::from_secs(120);
/// How long a watch lasts, give or take half of it: then the server ends it, and it goes on with another one.
const WATCH: Duration = Duration::from_secs(300);
/// A server that has said nothing for so long is asked again. It has a bookmark to send once a minute.
const SILENCE: Duration = Duration::from_secs(150);
/// Objects in a page.
const LIMIT: u32 = 500;
/// A page that is larger is not read: 500 objects of the 1.5 MB that the server's store allows would be, but such are not.
const LARGEST_PAGE: u64 = 256 << 20;
/// A longer line of a watch is skipped: the server's store takes no object of half of it.
const LONGEST_LINE: usize = 4 << 20;

/// Why no answer can be had.
#[derive(Debug)]
pub enum Stop {
    /// The server has forgotten where we were: all has to be listed again.
    Gone,
    /// Anything else.
    Failed(Failure),
    /// Nobody listens to us any more.
    Closed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A part of a list.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub struct Page<T> {
    /// Where it stands.
    #[serde(default)]
    pub metadata: PageMetadata,
    /// The objects: Go writes null for none.
    pub items: Option<Vec<T>>,
}

/// Where a page stands.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct PageMetadata {
    /// The state of the whole that it shows.
    pub resource_version: String,
    /// What to ask for next; empty at the end.
    #[serde(rename = "continue")]
    pub rest: String,
}

/// Asks one server about one kind of object.
pub struct Client<'a> {
    access: &'a Access,
    resource: Resource,
    agent: Agent,
    token: Option<String>,
    selector: Option<String>,
}

impl<'a> Client<'a> {
    /// With certificates and token as they are now.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn new(access: &'a Access, resource: Resource, node: &str) -> Result<Self, Failure> {
        let (certificate, token) = match &access.credentials {
            Credentials::Certificate(chain, key) => {
                (Some(client_certificate(&chain.read()?, &key.read()?)?), None)
            }
            Credentials::Token(token) => {
                (None, Some(String::from_utf8_lossy(&token.read()?).trim().to_owned()))
            }
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&authorities(access)?))
            .client_cert(certificate);
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .https_only(true)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        let selector = match access.answers {
            Answers::ApiServer => resource.selector(node),
            Answers::Kubelet => None,
        };
        Ok(Self { access, resource, agent: agent.build().into(), token, selector })
    }

    /// A page of the list, from where another one has ended.
    ///
    /// # Errors
    /// There is no answer, or it is no list.
    pub fn page<T: DeserializeOwned>(&self, rest: &str) -> Result<Page<T>, Stop> {
        let limit = LIMIT.to_string();
        let mut query = vec![("limit", limit.as_str())];
        if !rest.is_empty() {
            query.push(("continue", rest));
        }
        let mut response = self.get("List", &query, Some(PAGE))?;
        let body = response.body_mut().as_reader().take(LARGEST_PAGE);
        serde_json::from_reader(BufReader::new(body)).map_err(|error| self.garbled(&error).into())
    }

    /// What has changed since this state, and goes on to.
    ///
    /// # Errors
    /// There is no answer.
    pub fn watch(&self, version: &str) -> Result<Lines, Stop> {
        let seconds = around(WATCH).as_secs().to_string();
        let query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", &seconds),
        ];
        let response = self.get("", &query, None)?;
        Ok(Lines { body: BufReader::new(Box::new(response.into_body().into_reader())), line: Vec::new() })
    }

    /// A line of a watch that makes no sense.
    pub fn garbled(&self, error: &serde_json::Error) -> Failure {
        let (server, resource) = (self.access.server.clone(), self.resource.name());
        // The error shows no text of the server's, but its own words and a place.
        Failure::Garbled { server, resource, cause: error.to_string() }
    }

    fn get(
        &self,
        shape: &str,
        query: &[(&str, &str)],
        time: Option<Duration>,
    ) -> Result<Response<Body>, Stop> {
        let path = match self.access.answers {
            Answers::ApiServer => self.resource.path(),
            Answers::Kubelet => "/pods",
        };
        let mut request = self.agent.get(format!("{}{path}", self.access.server));
        if self.access.answers == Answers::ApiServer {
            request = request.query_pairs(query.iter().copied());
        }
        if let Some(selector) = &self.selector {
            request = request.query("fieldSelector", selector);
        }
        if self.resource.is_metadata_only() {
            let metadata = format!(
                "application/json;as=PartialObjectMetadata{shape};g=meta.k8s.io;v=v1, application/json"
            );
            request = request.header("Accept", metadata);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.config().timeout_recv_body(time).build().call();
        let response = answer.map_err(|error| Failure::of_request(&self.access.server, &error))?;
        let server = self.access.server.clone();
        let resource = self.resource.name();
        match response.status().as_u16() {
            200 => Ok(response),
            401 => Err(Failure::Unauthorized { server }.into()),
            403 => Err(Failure::Forbidden { resource }.into()),
            410 => Err(Stop::Gone),
            status => Err(Failure::Refused { server, resource, status }.into()),
        }
    }
}

/// A watch: a line for each change.
pub struct Lines {
    body: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
}

impl Lines {
    /// The next line; none where the watch has ended, in whichever way. One that is too long is empty.
    pub fn next(&mut self) -> Option<&[u8]> {
        self.line.clear();
        // A huge object is no reason to keep its room for ever.
        self.line.shrink_to(1 << 16);
        let mut skipped = false;
        loop {
            let some = self.body.fill_buf().ok().filter(|some| !some.is_empty())?;
            let end = some.iter().position(|byte| *byte == b'\n');
            let part = &some[..end.unwrap_or(some.len())];
            skipped |= self.line.len() + part.len() > LONGEST_LINE;
            if skipped {
                self.line.clear();
            } else {
                self.line.extend_from_slice(part);
            }
            let taken = end.map_or(some.len(), |end| end + 1);
            self.body.consume(taken);
            if end.is_some() {
                return Some(&self.line);
            }
        }
    }
}

/// Of several files those that are there: where there is none, what is wrong with the first.
fn authorities(access: &Access) -> Result<Vec<Certificate<'static>>, Failure> {
    let mut found = Vec::new();
    let mut missing = None;
    for content in &access.authorities {
        match content.read() {
            Ok(pem) => found.extend(certificates(&pem)),
            Err(error) => missing = missing.or(Some(error)),
        }
    }
    match missing {
        Some(error) if found.is_empty() => Err(error),
        _ if found.is_empty() => Err(Failure::Configuration("the CA holds no certificate (PEM)".into())),
        _ => Ok(found),
    }
}

fn certificates(pem: &[u8]) -> impl Iterator<Item = Certificate<'static>> {
    parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    })
}

fn client_certificate(chain: &[u8], key: &[u8]) -> Result<ClientCert, Failure> {
    let key = PrivateKey::from_pem(key)
        .map_err(|_| Failure::Configuration("the client's key is none (PEM)".into()))?;
    Ok(ClientCert::new_with_certs(&certificates(chain).collect::<Vec<_>>(), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let endless = std::io::repeat(b'x').take(64 << 20);
        let body = endless.chain(&b"\nshort\nhalf"[..]);
        let mut lines = Lines { body: BufReader::new(Box::new(body)), line: Vec::new() };
        assert_eq!(lines.next(), Some(&b""[..]));
        assert!(lines.line.capacity() <= 2 * LONGEST_LINE, "{}", lines.line.capacity());
        assert_eq!(lines.next(), Some(&b"short"[..]));
        assert_eq!(lines.next(), None, "a line that was cut off says nothing");
    }
}
