//! What they are called, for people.

use super::compare::Met;
use super::relation::Role;
use super::tally::{Host, Port, Subject};
use std::net::{IpAddr, SocketAddr};
use weir_record::protocol_text;

/// `to api.example.org:443/tcp`, `from 192.0.2.1 at :22/tcp`.
pub fn peer(met: &Met) -> String {
    let (role, protocol) = (met.role.as_str(), protocol(met.protocol));
    let more = met.addresses.len();
    let more = if more > 1 { format!(" ({more} addresses)") } else { String::new() };
    match (met.role, met.port) {
        (Role::From, Some(port)) => format!("{role} {} at :{port}/{protocol}{more}", host(&met.host, None)),
        (_, Some(_)) => format!("{role} {}/{protocol}{more}", host(&met.host, met.port)),
        (_, None) => format!("{role} {} {protocol}{more}", host(&met.host, None)),
    }
}

/// `served 8080/tcp`.
pub fn port(key: &Port) -> String {
    format!("{} {}/{}", key.place.as_str(), key.port, protocol(key.protocol))
}

/// `process curl`, `api.example.org:443/tcp`.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Process(name) => format!("process {name}"),
        Subject::Service { host: at, port: Some(port), protocol: of } => {
            format!("{}/{}", host(at, Some(*port)), protocol(*of))
        }
        Subject::Service { host: at, port: None, protocol: of } => {
            format!("{} {}", host(at, None), protocol(*of))
        }
    }
}

fn host(host: &Host, port: Option<u16>) -> String {
    match (host, port) {
        (Host::Name(name), Some(port)) => format!("{name}:{port}"),
        (Host::Name(name), None) => name.clone(),
        (Host::Address(address), Some(port)) => SocketAddr::from((*address, port)).to_string(),
        (Host::Address(address), None) => IpAddr::to_string(address),
    }
}

fn protocol(number: u8) -> String {
    protocol_text(number).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tally::Place;
    use super::*;

    #[test]
    fn who_it_is() {
        let met =
            |role, host, port| peer(&Met { role, host, port, protocol: 6, addresses: Default::default() });
        let address = || Host::Address("fd00::1".parse().expect("an address"));
        assert_eq!(met(Role::To, Host::Name("api".into()), Some(443)), "to api:443/tcp");
        assert_eq!(met(Role::To, address(), Some(443)), "to [fd00::1]:443/tcp");
        assert_eq!(met(Role::From, address(), Some(22)), "from fd00::1 at :22/tcp");
        assert_eq!(met(Role::With, address(), None), "with fd00::1 tcp");
        assert_eq!(port(&Port { place: Place::Served, port: 53, protocol: 17 }), "served 53/udp");
    }
}
