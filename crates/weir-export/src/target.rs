//! What a URL asks for.
//!
//! `SCHEME://HOST:PORT?option=value&…` or `SCHEME:PATH?option=value&…`. What a server's own query is, is passed on.

use crate::file::{Rotating, Rotation};
use crate::http::{Address, Http};
use crate::ipfix::Ipfix;
use crate::json::Fields;
use crate::lines::{Framing, Lines};
use crate::link::{Place, Transport};
use crate::peer::{Peer, Silence};
use bytesize::ByteSize;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use ureq::http::Uri;
use weir_filter::Filter;
use weir_ipfix::Encoder;
use weir_record::{Addresses, Direction, FIELDS, Field, FlowKey, FlowRecord, Interface, InterfaceKind};

/// The schemes, as they are told of.
const SCHEMES: &str = "ipfix+udp://HOST:PORT, ipfix+tcp://HOST:PORT, syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT, \
                       http://URL, https://URL, unix:PATH or file:PATH";
/// IANA's for IPFIX, and the one that syslog has everywhere.
const PORTS: [u16; 2] = [4739, 514];
const ROTATION: Rotation = Rotation { bytes: 100 << 20, keep: 5 };

/// Where records go, and what of them.
#[derive(Debug, Clone)]
pub struct Target {
    /// What `weir status`, metrics and the spool's directory call it.
    pub name: String,
    /// How it is spoken to.
    pub kind: Kind,
    /// Which records it gets; all without.
    pub filter: Option<Filter>,
    /// What of each; all without any.
    pub fields: Vec<&'static Field>,
}

/// How somebody is spoken to, and where.
#[derive(Debug, Clone)]
#[allow(private_interfaces)] // what is in it is this crate's affair
pub enum Kind {
    /// A collector of flows, with the observation domain that messages are of.
    Ipfix(Transport, u32),
    /// Syslog.
    Syslog(Transport),
    /// JSON lines to a socket of this host.
    Unix(Transport),
    /// JSON lines to a server.
    Http(Address),
    /// JSON lines to a file.
    File(PathBuf, Rotation),
}

impl Target {
    /// Who speaks to it.
    pub fn peer(&self) -> Box<dyn Peer> {
        let fields = Fields(self.fields.clone());
        match &self.kind {
            Kind::Ipfix(transport, domain) => {
                Box::new(Ipfix::new(transport.clone(), *domain, self.fields.clone()))
            }
            Kind::Syslog(transport) => Box::new(Lines::new(transport.clone(), Framing::syslog(), fields)),
            Kind::Unix(transport) => Box::new(Lines::new(transport.clone(), Framing::Lines, fields)),
            Kind::Http(address) => Box::new(Http::new(address.clone(), fields)),
            Kind::File(path, rotation) => Box::new(Rotating::new(path.clone(), *rotation, fields)),
        }
    }

    /// Sends one record that says who sent it, at this time, and tells what came back.
    ///
    /// # Errors
    /// It cannot be reached, or does not take it.
    pub fn test(&self, now: u64) -> io::Result<String> {
        let mut peer = self.peer();
        peer.connect()?;
        let sent = peer.send(&[record(now)])?;
        if let Some(why) = sent.why {
            return Err(io::Error::other(why));
        }
        // Whoever refuses datagrams says so at once.
        thread::sleep(Duration::from_millis(200));
        peer.look()?;
        peer.disconnect();
        Ok(sent.answer.unwrap_or_else(|| match peer.silence() {
            Silence::Time(_) => "nothing came back, as it should be: datagrams are not answered".into(),
            Silence::Bytes(_) => "it was taken; that it was understood is not said by this protocol".into(),
            Silence::None => "it was taken".into(),
        }))
    }

    /// Its name as that of a directory.
    pub fn directory(&self) -> String {
        let fine = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
        let name: String = self.name.chars().map(|letter| if fine(letter) { letter } else { '_' }).collect();
        // Neither hidden nor `..`, and no longer than a name may be.
        format!("to-{}", &name[..name.len().min(200)])
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut options = Options::of(query);
        let scheme = base.split_once(':').map_or("", |(scheme, _)| scheme);
        let kind = match scheme {
            "ipfix+udp" | "ipfix+tcp" => {
                let domain = options.take("domain").map_or(Ok(0), |text| number("domain", &text))?;
                Kind::Ipfix(transport(base, PORTS[0])?, domain)
            }
            "syslog+udp" | "syslog+tcp" => Kind::Syslog(transport(base, PORTS[1])?),
            "unix" => Kind::Unix(Transport::Unix(path(base)?)),
            "file" => Kind::File(path(base)?, rotation(&mut options)?),
            "http" | "https" => Kind::Http(address(base, &mut options)?),
            _ => return Err(format!("weir exports to {SCHEMES}")),
        };
        let name = match options.take("name") {
            Some(name) if name.is_empty() || name.chars().any(char::is_control) => {
                return Err("name: a word to call it by".into());
            }
            name => name.unwrap_or_else(|| base.to_owned()),
        };
        let filter = options.take("filter").map(|text| filter(&text)).transpose()?;
        let fields = options.take("fields").map_or(Ok(Vec::new()), |text| fields(&text, &kind))?;
        let kind = options.rest(kind)?;
        Ok(Self { name, kind, filter, fields })
    }
}

/// One of no packets, between addresses that are for examples (RFC 5737).
fn record(now: u64) -> FlowRecord {
    let interface = Interface {
        name: "weir-export-test".into(),
        index: 0,
        netns: "".into(),
        own_netns: true,
        kind: InterfaceKind::Other,
    };
    let addresses = Addresses::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((0, 0)) };
    let mut record = FlowRecord::blank(Arc::new(interface), Direction::Egress, key);
    (record.start, record.end, record.flow_id) = (now, now, key.conversation_id(0, now));
    record
}

/// What stands after the question mark.
struct Options(Vec<(String, String)>);

impl Options {
    fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// What nobody has asked for is the server's, where there is one, and else a mistake.
    fn rest(self, mut kind: Kind) -> Result<Kind, String> {
        match (&mut kind, self.0.first()) {
            (_, None) => {}
            (Kind::Http(address), Some(_)) => {
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
                address.url = format!("{}?{query}", address.url);
            }
            (_, Some((name, _))) => {
                return Err(format!("there is no option {name}: docs/exporters.md lists them"));
            }
        }
        Ok(kind)
    }
}

/// The authority of a URL that has no path.
fn transport(base: &str, port: u16) -> Result<Transport, String> {
    let uri = uri(base)?;
    if !["", "/"].contains(&uri.path()) {
        return Err(format!("{base}: a host and a port, and nothing behind them"));
    }
    let host = uri.host().unwrap_or("").trim_matches(['[', ']']).to_owned();
    let place = Place { host, port: uri.port_u16().unwrap_or(port) };
    Ok(if base.split(':').next().is_some_and(|scheme| scheme.ends_with("+udp")) {
        Transport::Udp(place)
    } else {
        Transport::Tcp(place)
    })
}

fn uri(base: &str) -> Result<Uri, String> {
    let uri: Uri = base.parse().map_err(|_| format!("{base} is no URL: write it like {SCHEMES}"))?;
    match uri.authority() {
        // It would be in the process's arguments, in logs and in this message.
        Some(authority) if authority.as_str().contains('@') => {
            Err("a password does not belong in a URL: put a token in a file, token_file=PATH".into())
        }
        Some(authority) if !authority.host().is_empty() => Ok(uri),
        _ => Err(format!("{base}: there is no host in it")),
    }
}

fn path(base: &str) -> Result<PathBuf, String> {
    let path = base.split_once(':').map_or("", |(_, path)| path);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') {
        return Err(format!("{base}: there is no name of a file in it"));
    }
    Ok(path.into())
}

fn address(base: &str, options: &mut Options) -> Result<Address, String> {
    let uri = uri(base)?;
    let token = options.take("token_file").map(PathBuf::from);
    if token.is_some() && uri.scheme_str() == Some("http") && !is_loopback(&uri) {
        return Err("a token is not sent in the clear: use https".into());
    }
    let authorities = options.take("ca_file").map(PathBuf::from);
    Ok(Address { url: base.to_owned(), token, authorities })
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn rotation(options: &mut Options) -> Result<Rotation, String> {
    let size = |text: String| text.parse::<ByteSize>().map(|size| size.as_u64());
    let bytes = options.take("rotate").map_or(Ok(ROTATION.bytes), size);
    let bytes = bytes.ok().filter(|bytes| *bytes > 0).ok_or("rotate: a size, like 100MiB")?;
    let keep = options.take("keep").map_or(Ok(ROTATION.keep), |text| number("keep", &text))?;
    if keep > 1000 {
        return Err("keep: 1000 files at most".into());
    }
    Ok(Rotation { bytes, keep })
}

fn number(name: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{name}: '{text}' is no whole number"))
}

fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|mistake| format!("filter: {mistake}"))
}

fn fields(text: &str, kind: &Kind) -> Result<Vec<&'static Field>, String> {
    let named = |name: &str| {
        let field = FIELDS.iter().find(|field| field.name == name.trim());
        let field =
            field.ok_or_else(|| format!("fields: there is no field {name}: docs/fields.md lists them"))?;
        match kind {
            Kind::Ipfix(..) if !Encoder::is_written(field) => {
                Err(format!("fields: {name} has no element in IPFIX"))
            }
            _ => Ok(field),
        }
    };
    text.split(',').map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
    }

    fn mistake(text: &str) -> String {
        text.parse::<Target>().map(drop).expect_err(text)
    }

    #[test]
    fn places() {
        let place = |text: &str| match target(text).kind {
            Kind::Ipfix(transport, _) | Kind::Syslog(transport) | Kind::Unix(transport) => transport,
            other => panic!("{other:?}"),
        };
        let at = |host: &str, port| Place { host: host.into(), port };
        assert_eq!(place("ipfix+udp://collector:9995"), Transport::Udp(at("collector", 9995)));
        assert_eq!(place("ipfix+tcp://[fd00::1]"), Transport::Tcp(at("fd00::1", 4739)));
        assert_eq!(place("syslog+udp://127.0.0.1/"), Transport::Udp(at("127.0.0.1", 514)));
        assert_eq!(place("unix:/run/x.sock"), Transport::Unix("/run/x.sock".into()));
        assert_eq!(place("unix:///run/x.sock"), Transport::Unix("/run/x.sock".into()));
        assert_eq!(at("fd00::1", 1).to_string(), "[fd00::1]:1");
    }

    #[test]
    fn options_of_all() {
        let asked = target(
            "ipfix+udp://c?name=noc&domain=7&filter=protocol == 'tcp' and port == 443&fields=flow_id,bytes",
        );
        assert!(matches!(asked.kind, Kind::Ipfix(_, 7)));
        assert_eq!((asked.name.as_str(), asked.directory().as_str()), ("noc", "to-noc"));
        assert_eq!(
            asked.filter.map(|filter| filter.to_string()).as_deref(),
            Some("protocol == tcp and port == 443")
        );
        assert_eq!(asked.fields.iter().map(|field| field.name).collect::<Vec<_>>(), ["flow_id", "bytes"]);
        let plain = target("ipfix+tcp://10.0.0.1:4739");
        assert_eq!(
            (plain.name.as_str(), plain.directory().as_str()),
            ("ipfix+tcp://10.0.0.1:4739", "to-ipfix+tcp___10.0.0.1_4739")
        );
    }

    #[test]
    fn files_and_servers() {
        let Kind::File(path, rotation) = target("file:/var/log/f.json?rotate=1MiB&keep=2").kind else {
            panic!()
        };
        assert_eq!((path, rotation), ("/var/log/f.json".into(), Rotation { bytes: 1 << 20, keep: 2 }));
        let Kind::Http(address) = target("https://in.example/x?source=weir&token_file=/t&ca_file=/ca").kind
        else {
            panic!()
        };
        assert_eq!(address.url, "https://in.example/x?source=weir");
        assert_eq!((address.token, address.authorities), (Some("/t".into()), Some("/ca".into())));
    }

    #[test]
    fn mistakes() {
        for (text, part) in [
            ("", "weir exports to"),
            ("kafka://b/t", "weir exports to"),
            ("ipfix+udp://", "no URL"),
            ("ipfix+udp://:4739", "no host"),
            ("ipfix+udp://h/path", "nothing behind"),
            ("ipfix+udp://h?colour=red", "no option colour"),
            ("ipfix+udp://h?domain=x", "no whole number"),
            ("ipfix+udp://h?fields=byts", "no field byts"),
            ("ipfix+udp://h?fields=community_id", "no element"),
            ("ipfix+udp://h?filter=prt == 3", "filter: "),
            ("https://u:p@h/", "a password does not belong"),
            ("http://h/?token_file=/t", "use https"),
            ("file:", "no name of a file"),
            ("file:/var/log/?keep=1", "no name of a file"),
            ("file:/x?rotate=0", "a size"),
            ("file:/x?keep=-1", "no whole number"),
        ] {
            let said = mistake(text);
            assert!(said.contains(part), "{text}: {said}");
            assert!(!said.contains("u:p"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_a_target_or_a_mistake(text in "(ipfix\\+udp://|file:|https://|unix:)?\\PC{0,40}(\\?\\PC{0,40})?") {
            if let Ok(target) = text.parse::<Target>() {
                let directory = target.directory();
                prop_assert!(directory.len() < 256 && !directory.contains('/'), "{}", directory);
            }
        }
    }
}
