//! What a URL asks for.
//!
//! `SCHEME://HOST:PORT?option=value&…` or `SCHEME:PATH?option=value&…`. What a server's own query is, is passed on.

mod options;
#[cfg(test)]
mod tests;

use self::options::{
    Options, address, clickhouse, fields, filter, language, otlp, path, rotation, secured, transport,
};
use crate::clickhouse::{ClickHouse, Place};
use crate::client::Address;
use crate::collector::{Collector, Language};
use crate::file::{Rotating, Rotation};
use crate::http::{Http, JsonLines};
use crate::json::Fields;
use crate::lines::{Framing, Lines};
use crate::link::Transport;
use crate::otlp::{Otlp, Resource};
use crate::peer::{Peer, Silence};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use weir_filter::Filter;
use weir_record::{Addresses, Direction, Field, FlowKey, FlowRecord, Interface, InterfaceKind};

/// The schemes, as they are told of.
const SCHEMES: &str = "ipfix+udp://HOST:PORT, ipfix+tcp://HOST:PORT, ipfix+tls://HOST:PORT, \
                       netflow9+udp://HOST:PORT, netflow5+udp://HOST:PORT, syslog+udp://HOST:PORT, \
                       syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT, http://URL, https://URL, \
                       otlp+http://HOST:PORT, otlp+https://HOST:PORT, clickhouse://HOST:PORT/DATABASE, \
                       clickhouse+tls://HOST:PORT/DATABASE, unix:PATH or file:PATH";
/// IANA's, without and within TLS.
const IPFIX: [u16; 2] = [4739, 4740];
/// The one that it has everywhere, and the one within TLS (RFC 5425).
const SYSLOG: [u16; 2] = [514, 6514];
/// No standard's, but everybody's.
const NETFLOW: u16 = 2055;

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
    /// A collector of flows.
    Collector(Transport, Language),
    /// Syslog.
    Syslog(Transport),
    /// JSON lines to a socket of this host.
    Unix(Transport),
    /// JSON lines to a server.
    Http(Address),
    /// Rows to ClickHouse.
    ClickHouse(Address, Place),
    /// OTLP to a server, from this resource.
    Otlp(Address, Resource),
    /// JSON lines to a file.
    File(PathBuf, Rotation),
}

impl Target {
    /// Who speaks to it.
    pub fn peer(&self) -> Box<dyn Peer> {
        let fields = Fields(self.fields.clone());
        match &self.kind {
            Kind::Collector(transport, language) => {
                Box::new(Collector::new(transport.clone(), *language, self.fields.clone()))
            }
            Kind::Syslog(transport) => Box::new(Lines::new(transport.clone(), Framing::syslog(), fields)),
            Kind::Unix(transport) => Box::new(Lines::new(transport.clone(), Framing::Lines, fields)),
            Kind::Http(address) => Box::new(Http::new(address.clone(), Box::new(JsonLines(fields)))),
            Kind::Otlp(address, resource) => {
                let body = Otlp::new(self.fields.clone(), resource.clone());
                Box::new(Http::new(address.clone(), Box::new(body)))
            }
            Kind::ClickHouse(address, place) => {
                Box::new(ClickHouse::new(address.clone(), place.clone(), &self.fields))
            }
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
                Kind::Collector(transport(base, IPFIX[0])?, language(scheme, &mut options)?)
            }
            "ipfix+tls" => {
                Kind::Collector(secured(base, IPFIX[1], &mut options)?, language(scheme, &mut options)?)
            }
            "netflow9+udp" | "netflow5+udp" => {
                Kind::Collector(transport(base, NETFLOW)?, language(scheme, &mut options)?)
            }
            "syslog+udp" | "syslog+tcp" => Kind::Syslog(transport(base, SYSLOG[0])?),
            "syslog+tls" => Kind::Syslog(secured(base, SYSLOG[1], &mut options)?),
            "unix" => Kind::Unix(Transport::Unix(path(base)?)),
            "file" => Kind::File(path(base)?, rotation(&mut options)?),
            "http" | "https" => Kind::Http(address(base, &mut options)?),
            "clickhouse" | "clickhouse+tls" => clickhouse(base, &mut options)?,
            "otlp+http" | "otlp+https" => Kind::Otlp(otlp(base, &mut options)?, Resource::here()?),
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
