//! What a URL asks for.
//!
//! `SCHEME://HOST:PORT?option=value&…` or `SCHEME:PATH?option=value&…`. What a server's own query is, is passed on.

mod kafka;
mod objects;
pub(crate) mod options;
#[cfg(test)]
mod tests;

use self::objects::objects;
pub(crate) use self::options::asked;
use self::options::{
    Options, address, called, clickhouse, fields, filter, language, otlp, path, rotation, secured, transport,
};
use crate::batch::{JsonLines, Server};
use crate::clickhouse::{ClickHouse, Place};
use crate::client::Address;
use crate::collector::{Collector, Language};
use crate::file::{Rotating, Rotation};
use crate::grpc::{self, Grpc};
use crate::http::Http;
use crate::json::Fields;
use crate::kafka::{Cluster, Kafka, Manner};
use crate::lines::{Framing, Lines};
use crate::link::Transport;
use crate::netobserv;
use crate::objects::{Kept, Objects};
use crate::otlp::{Endpoint, Otlp, Resource, Signal};
use crate::peer::{Gather, Peer, Silence};
use crate::rate::Rate;
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
const SCHEMES: &str = "ipfix+udp://HOST:PORT, ipfix+tcp://HOST:PORT, ipfix+tls://HOST:PORT, ipfix+sctp://HOST:PORT, \
                       netflow9+udp://HOST:PORT, netflow5+udp://HOST:PORT, syslog+udp://HOST:PORT, \
                       syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT, http://URL, https://URL, \
                       otlp+http://HOST:PORT, otlp+https://HOST:PORT, \
                       otlp+grpc://HOST:PORT, otlp+grpcs://HOST:PORT, grpc://HOST:PORT, grpcs://HOST:PORT, \
                       clickhouse://HOST:PORT/DATABASE, \
                       clickhouse+tls://HOST:PORT/DATABASE, kafka://HOST:PORT/TOPIC, \
                       kafka+tls://HOST:PORT/TOPIC, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, \
                       az://CONTAINER/PREFIX, dir:PATH, unix:PATH or file:PATH";
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
    /// How many a second; as many as there are without.
    pub rate: Option<Rate>,
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
    /// Messages to a topic.
    Kafka(Cluster, Manner),
    /// OTLP to a server, from this resource.
    Otlp(Endpoint, Signal, Resource),
    /// Flows to a collector of netobserv's.
    Netobserv(grpc::Address),
    /// JSON lines to a file.
    File(PathBuf, Rotation),
    /// Files of Parquet to a store of objects, so much at once.
    Objects(Kept, Gather),
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
            Kind::Http(address) => {
                Box::new(Server::new(Box::new(Http::new(address.clone())), Box::new(JsonLines(fields))))
            }
            Kind::Otlp(endpoint, signal, resource) => {
                let body = Otlp::new(*signal, self.fields.clone(), resource.clone());
                Box::new(Server::new(endpoint.carrier(signal.service()), Box::new(body)))
            }
            Kind::Netobserv(address) => {
                let carrier = Grpc::new(address.clone(), grpc::NETOBSERV);
                Box::new(Server::new(Box::new(carrier), Box::new(netobserv::Records::default())))
            }
            Kind::ClickHouse(address, place) => {
                Box::new(ClickHouse::new(address.clone(), place.clone(), &self.fields))
            }
            Kind::Kafka(cluster, manner) => {
                Box::new(Kafka::new(cluster.clone(), *manner, self.fields.clone()))
            }
            Kind::File(path, rotation) => Box::new(Rotating::new(path.clone(), *rotation, fields)),
            Kind::Objects(kept, gather) => Box::new(Objects::new(kept.clone(), *gather, &self.fields)),
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
            "ipfix+udp" | "ipfix+tcp" | "ipfix+sctp" => {
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
            "s3" | "gs" | "az" | "dir" => objects(scheme, base, &mut options)?,
            "http" | "https" => Kind::Http(address(base, &mut options)?),
            "clickhouse" | "clickhouse+tls" => clickhouse(base, &mut options)?,
            "kafka" | "kafka+tls" => kafka::kafka(base, &mut options)?,
            "otlp+http" | "otlp+https" | "otlp+grpc" | "otlp+grpcs" => otlp(base, &mut options)?,
            "grpc" | "grpcs" => Kind::Netobserv(called(base, netobserv::PORT, &mut options)?),
            _ => return Err(format!("weir exports to {SCHEMES}")),
        };
        let name = options.word("name")?.unwrap_or_else(|| base.to_owned());
        let filter = options.take("filter").map(|text| filter(&text)).transpose()?;
        let fields = options.take("fields").map_or(Ok(Vec::new()), |text| fields(&text, &kind))?;
        let rate = options.take("rate").map(|text| text.parse()).transpose()?;
        let kind = options.rest(kind)?;
        Ok(Self { name, kind, filter, fields, rate })
    }
}

/// One of no packets, between addresses that are for examples (RFC 5737).
pub fn record(now: u64) -> FlowRecord {
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
