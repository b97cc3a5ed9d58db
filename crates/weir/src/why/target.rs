//! What is asked about.

use super::connection::Connection;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use weir_filter::Filter;
use weir_record::FlowRecord;

/// Which connections are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Those of a process.
    Process(u32),
    /// Those with such an end; of any address where there is none.
    End(Option<IpAddr>, u16),
    /// Those that fit.
    Filter(Filter),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(pid) = text.parse() {
            return Ok(Self::Process(pid));
        }
        if let Ok(end) = text.parse::<SocketAddr>() {
            return Ok(Self::End(Some(end.ip().to_canonical()), end.port()));
        }
        let port = text.strip_prefix("*:").or_else(|| text.strip_prefix(':'));
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            return Ok(Self::End(None, port));
        }
        text.parse().map(Self::Filter).map_err(|mistake| {
            format!("neither address:port, nor :port, nor the number of a process, nor a filter: {mistake}")
        })
    }
}

impl Target {
    /// Whether a socket's end is meant.
    pub fn is_at(&self, end: SocketAddr) -> bool {
        match self {
            Self::End(address, port) => end.port() == *port && address.is_none_or(|one| one == end.ip()),
            _ => false,
        }
    }

    /// Whether it is meant to be one that listens there.
    pub fn is_served_at(&self, end: SocketAddr) -> bool {
        match self {
            Self::End(Some(_), port) if end.ip().is_unspecified() => end.port() == *port,
            _ => self.is_at(end),
        }
    }

    /// Whether a connection is meant.
    pub fn means(&self, connection: &Connection<'_>, flow: &FlowRecord) -> bool {
        match self {
            Self::Process(pid) => connection.sides().any(|side| {
                let holds = |end: &std::sync::Arc<weir_record::End>| {
                    end.process.as_ref().is_some_and(|process| process.pid == *pid)
                };
                side.last.pid == *pid || side.holders.iter().any(holds)
            }),
            Self::End(..) => self.is_at(connection.source) || self.is_at(connection.destination),
            Self::Filter(filter) => filter.matches(flow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let read = |text: &str| text.parse::<Target>();
        assert_eq!(read("4711"), Ok(Target::Process(4711)));
        assert_eq!(read("10.0.0.1:80"), Ok(Target::End(Some([10, 0, 0, 1].into()), 80)));
        assert_eq!(read("[::1]:80"), Ok(Target::End(Some("::1".parse().expect("an address")), 80)));
        assert_eq!((read(":443"), read("*:443")), (Ok(Target::End(None, 443)), Ok(Target::End(None, 443))));
        assert!(matches!(read("port == 80 and process == nginx"), Ok(Target::Filter(_))));
        assert!(read("nonsense").is_err_and(|mistake| mistake.contains("address:port")));
    }

    #[test]
    fn a_socket_of_every_address_serves_this_one() {
        let target = Target::End(Some([10, 0, 0, 1].into()), 80);
        let at = |text: &str| text.parse().expect("an end");
        assert!(target.is_served_at(at("0.0.0.0:80")) && !target.is_served_at(at("0.0.0.0:81")));
        assert!(target.is_served_at(at("10.0.0.1:80")) && !target.is_served_at(at("10.0.0.2:80")));
        assert!(!target.is_at(at("0.0.0.0:80")));
    }
}
