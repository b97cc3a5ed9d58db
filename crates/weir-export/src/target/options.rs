//! The parts of a URL.

use super::{Kind, SCHEMES, kafka};
use crate::clickhouse;
use crate::client::Address;
use crate::collector::Language;
use crate::file::Rotation;
use crate::grpc;
use crate::link::{Place, Transport};
use crate::login::{self, Login};
use crate::otlp::{self, Endpoint, Resource, Service, Signal};
use crate::trust::{Identity, Security};
use bytesize::ByteSize;
use std::path::PathBuf;
use ureq::http::Uri;
use weir_filter::Filter;
use weir_record::{FIELDS, Field};

const ROTATION: Rotation = Rotation { bytes: 100 << 20, keep: 5 };

/// Options by which somebody may try to give away what belongs in a file.
pub const SECRET: [&str; 4] = ["passwd", "password", "secret", "token"];
/// It would be in the process's arguments, in logs and in messages.
const NO_PASSWORD: &str =
    "a password does not belong in a URL: put it in a file, password_file=PATH, or a token, token_file=PATH";

/// What stands after the question mark.
pub(crate) struct Options(Vec<(String, String)>);

impl Options {
    pub(crate) fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Whether it is given, and nobody has taken it yet.
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// A word, to call something by.
    pub(crate) fn word(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            Some(word) if word.is_empty() || word.contains(char::is_control) => {
                Err(format!("{name}: a word, and no control characters"))
            }
            word => Ok(word),
        }
    }

    /// That there is nothing that nobody has asked for.
    pub(crate) fn none(&self) -> Result<(), String> {
        match self.0.first() {
            Some((name, _)) => Err(format!("there is no option {name}: docs/exporters.md lists them")),
            None => Ok(()),
        }
    }

    /// What nobody has asked for is the server's, where there is one, and else a mistake.
    pub(super) fn rest(self, mut kind: Kind) -> Result<Kind, String> {
        self.refuse_secrets()?;
        match (&mut kind, self.0.first()) {
            (_, None) => {}
            (Kind::Http(address) | Kind::Otlp(Endpoint::Http(address), ..), Some(_)) => {
                self.pass_on(address)?
            }
            _ => self.none()?,
        }
        Ok(kind)
    }

    /// What nobody has asked for is the server's.
    ///
    /// # Errors
    /// It would be a password.
    pub(crate) fn pass_on(self, address: &mut Address) -> Result<(), String> {
        self.refuse_secrets()?;
        if !self.0.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
            address.url = format!("{}?{query}", address.url);
        }
        Ok(())
    }

    fn refuse_secrets(&self) -> Result<(), String> {
        let is_secret = |(name, _): &(String, String)| SECRET.contains(&name.as_str());
        if self.0.iter().any(is_secret) { Err(NO_PASSWORD.into()) } else { Ok(()) }
    }
}

/// What is called so, if anything.
pub(super) fn chosen<T: Copy>(
    name: &str,
    options: &mut Options,
    all: &[(&'static str, T)],
) -> Result<Option<T>, String> {
    let Some(text) = options.take(name) else { return Ok(None) };
    let found = all.iter().find(|(known, _)| *known == text).map(|(_, one)| *one);
    let names = || all.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| format!("{name}: one of {}", names()))
}

/// Datagrams, a stream or messages, as the scheme says.
pub(super) fn transport(base: &str, port: u16) -> Result<Transport, String> {
    let place = place(base, port)?;
    Ok(match base.split(':').next().and_then(|scheme| scheme.split_once('+')) {
        Some((_, "udp")) => Transport::Udp(place),
        Some((_, "sctp")) => Transport::Sctp(place),
        _ => Transport::Tcp(place),
    })
}

/// A stream within TLS.
pub(super) fn secured(base: &str, port: u16, options: &mut Options) -> Result<Transport, String> {
    Ok(Transport::Tls(place(base, port)?, security(options)?))
}

/// The authority of a URL that has no path.
pub(super) fn place(base: &str, port: u16) -> Result<Place, String> {
    let uri = uri(base)?;
    if !["", "/"].contains(&uri.path()) {
        return Err(format!("{base}: a host and a port, and nothing behind them"));
    }
    let host = uri.host().unwrap_or("").trim_matches(['[', ']']).to_owned();
    Ok(Place { host, port: uri.port_u16().unwrap_or(port) })
}

pub(super) fn security(options: &mut Options) -> Result<Security, String> {
    let mut file = |name| options.take(name).map(PathBuf::from);
    let authorities = file("ca_file");
    let identity = match (file("cert_file"), file("key_file")) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        _ => return Err("cert_file and key_file: one is of no use without the other".into()),
    };
    Ok(Security { authorities, identity })
}

pub(super) fn uri(base: &str) -> Result<Uri, String> {
    let authority = base.split_once("//").and_then(|(_, rest)| rest.split('/').next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(NO_PASSWORD.into());
    }
    let uri: Uri = base.parse().map_err(|_| format!("{base} is no URL: write it like {SCHEMES}"))?;
    match uri.authority() {
        Some(authority) if !authority.host().is_empty() => Ok(uri),
        _ => Err(format!("{base}: there is no host in it")),
    }
}

pub(super) fn path(base: &str) -> Result<PathBuf, String> {
    let path = base.split_once(':').map_or("", |(_, path)| path);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') {
        return Err(format!("{base}: there is no name of a file in it"));
    }
    Ok(path.into())
}

pub(crate) fn address(base: &str, options: &mut Options) -> Result<Address, String> {
    let uri = uri(base)?;
    let (login, security) = (login(options)?, security(options)?);
    if uri.scheme_str() == Some("http") {
        in_the_clear(login.is_some() && !is_loopback(&uri), &security, "https")?;
    }
    Ok(Address { url: base.to_owned(), login, security, is_named: options.has("name") })
}

/// What is wrong with speaking in the clear: a secret that leaves this host, or what is of TLS, which has this scheme.
pub(super) fn in_the_clear(tells_a_secret: bool, security: &Security, tls: &str) -> Result<(), String> {
    if tells_a_secret {
        return Err(format!("a token or a password is not sent in the clear: use {tls}"));
    }
    if *security != Security::default() {
        return Err(format!("ca_file, cert_file and key_file are of TLS: use {tls}"));
    }
    Ok(())
}

/// ClickHouse that is asked: where, and of which hosts.
pub(crate) fn asked(text: &str) -> Result<(Address, clickhouse::Place, Vec<String>), String> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let mut options = Options::of(query);
    let hosts = options.take("host").unwrap_or_default();
    let (address, place) = database(base, &mut options)?;
    options.none()?;
    let hosts = hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
    Ok((address, place, hosts))
}

pub(super) fn clickhouse(base: &str, options: &mut Options) -> Result<Kind, String> {
    database(base, options).map(|(address, place)| Kind::ClickHouse(address, place))
}

/// Its address over HTTP, and which database there.
fn database(base: &str, options: &mut Options) -> Result<(Address, clickhouse::Place), String> {
    let uri = uri(base)?;
    let is_clear = uri.scheme_str() == Some("clickhouse");
    let database = uri.path().trim_matches('/').to_owned();
    if database.contains('/') {
        return Err(format!("{base}: a database, and nothing behind it"));
    }
    let database = if database.is_empty() { clickhouse::DATABASE.to_owned() } else { database };
    let creates = match options.take("create").as_deref() {
        None | Some("yes") => true,
        Some("no") => false,
        Some(_) => return Err("create: yes or no".into()),
    };
    let (scheme, port) = if is_clear { ("http", 8123) } else { ("https", 8443) };
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(port);
    let address = address(&format!("{scheme}://{host}:{port}/"), options)?;
    Ok((address, clickhouse::Place { database, creates }))
}

/// A server of OTLP, with its own port and path where there are none.
pub(crate) fn endpoint(base: &str, service: &Service, options: &mut Options) -> Result<Endpoint, String> {
    let uri = uri(base)?;
    let scheme = uri.scheme_str().and_then(|scheme| scheme.strip_prefix("otlp+")).unwrap_or_default();
    if scheme.starts_with("grpc") {
        return called(base, otlp::GRPC_PORT, options).map(Endpoint::Grpc);
    }
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(otlp::PORT);
    let path = Some(uri.path()).filter(|path| !["", "/"].contains(path)).unwrap_or(service.path);
    address(&format!("{scheme}://{host}:{port}{path}"), options).map(Endpoint::Http)
}

/// OTLP, and what OpenTelemetry is to have flows as.
pub(super) fn otlp(base: &str, options: &mut Options) -> Result<Kind, String> {
    let signal = chosen("signal", options, &Signal::NAMES)
        .map_err(|mistake| format!("{mistake}; metrics are pushed, with --otlp-metrics"))?
        .unwrap_or(Signal::Logs);
    Ok(Kind::Otlp(endpoint(base, signal.service(), options)?, signal, Resource::here()?))
}

/// A server of gRPC, within TLS where the scheme ends in an s.
pub(super) fn called(base: &str, port: u16, options: &mut Options) -> Result<grpc::Address, String> {
    let place = place(base, port)?;
    let (login, security) = (login(options)?, security(options)?);
    let is_clear = base.split("://").next().is_some_and(|scheme| scheme.ends_with("grpc"));
    if is_clear {
        in_the_clear(login.is_some() && !login::is_loopback(&place.host), &security, "grpcs")?;
    }
    Ok(grpc::Address { place, security: Some(security).filter(|_| !is_clear), login })
}

/// A user alone may be an option of the server's.
fn login(options: &mut Options) -> Result<Option<Login>, String> {
    let token = options.take("token_file").map(PathBuf::from);
    let password = options.take("password_file").map(PathBuf::from);
    match (token, password) {
        (Some(_), Some(_)) => Err("token_file and password_file: one of them".into()),
        (Some(token), None) => Ok(Some(Login::Token(token))),
        (None, Some(password)) => {
            let user = options
                .take("user")
                .filter(|user| !user.contains(|letter: char| letter == ':' || letter.is_control()));
            let user = user.ok_or("password_file: whose it is says user=NAME, without a colon")?;
            Ok(Some(Login::Basic { user, password }))
        }
        (None, None) => Ok(None),
    }
}

pub(super) fn is_loopback(uri: &Uri) -> bool {
    login::is_loopback(uri.host().unwrap_or("").trim_matches(['[', ']']))
}

pub(super) fn rotation(options: &mut Options) -> Result<Rotation, String> {
    let size = |text: String| text.parse::<ByteSize>().map(|size| size.as_u64());
    let bytes = options.take("rotate").map_or(Ok(ROTATION.bytes), size);
    let bytes = bytes.ok().filter(|bytes| *bytes > 0).ok_or("rotate: a size, like 100MiB")?;
    let keep = options.take("keep").map_or(Ok(ROTATION.keep), |text| number("keep", &text))?;
    if keep > 1000 {
        return Err("keep: 1000 files at most".into());
    }
    Ok(Rotation { bytes, keep })
}

pub(super) fn number(name: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{name}: '{text}' is no whole number"))
}

/// What a collector of this scheme is spoken to in.
pub(super) fn language(scheme: &str, options: &mut Options) -> Result<Language, String> {
    let domain = options.take("domain").map_or(Ok(0), |text| number("domain", &text))?;
    Ok(match scheme {
        "netflow5+udp" => Language::NetFlow5(
            domain
                .try_into()
                .map_err(|_| format!("domain: {domain} is more than NetFlow 5 has room for: 65535"))?,
        ),
        "netflow9+udp" => Language::NetFlow9(domain),
        _ => Language::Ipfix(domain),
    })
}

pub(super) fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|mistake| format!("filter: {mistake}"))
}

pub(super) fn fields(text: &str, kind: &Kind) -> Result<Vec<&'static Field>, String> {
    let named = |name: &str| {
        let field = FIELDS.iter().find(|field| field.name == name.trim());
        let field =
            field.ok_or_else(|| format!("fields: there is no field {name}: docs/fields.md lists them"))?;
        match kind {
            Kind::Collector(_, language) => {
                language.has(field).map(|()| field).map_err(|why| format!("fields: {name} {why}"))
            }
            Kind::Netobserv(_) => Err("fields: netobserv's flows have fixed fields".into()),
            _ => Ok(field),
        }
    };
    let fields: Vec<_> = text.split(',').map(named).collect::<Result<_, _>>()?;
    let is_there = |name: &&&str| fields.iter().any(|field| field.name == **name);
    match kind {
        Kind::ClickHouse(..) => match clickhouse::ALWAYS.iter().find(|name| !is_there(name)) {
            Some(missing) => Err(format!("fields: without {missing} ClickHouse cannot tell records apart")),
            None => Ok(fields),
        },
        Kind::Kafka(_, manner) => kafka::fields(fields, manner.format),
        _ => Ok(fields),
    }
}
