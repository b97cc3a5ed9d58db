//! The sockets of a network namespace, as `ss` has them and as `weir snapshot` has them.

use crate::agent::Agent;
use crate::netns::{Namespace, succeed};
use crate::output::{number, optional, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Socket {
    pub protocol: String,
    pub state: String,
    pub local: (IpAddr, u16),
    pub remote: Option<(IpAddr, u16)>,
    /// Of all processes that have it open.
    pub holders: BTreeSet<u32>,
}

/// All TCP and UDP sockets of the namespace with this name, by `ss -tunap`.
pub fn by_ss(netns: &str) -> Vec<Socket> {
    let shown = succeed(Command::new("ip").args(["netns", "exec", netns, "ss", "-tunapH"]));
    let mut sockets: Vec<_> = shown.lines().map(socket).collect();
    sockets.sort();
    sockets
}

/// `tcp ESTAB 0 0 10.0.0.1:80 10.0.0.2:4000 users:(("nginx",pid=7,fd=3),("nginx",pid=8,fd=3))`
fn socket(line: &str) -> Socket {
    let fields: Vec<_> = line.split_whitespace().collect();
    let holders = line.split("pid=").skip(1).map(|rest| {
        let digits = rest.split(',').next().expect("a first part");
        digits.parse().unwrap_or_else(|_| panic!("a number: {line}"))
    });
    Socket {
        protocol: fields[0].into(),
        state: state(fields[0], fields[1]).into(),
        local: end(fields[4]).unwrap_or_else(|| panic!("a local end: {line}")),
        remote: end(fields[5]),
        holders: holders.collect(),
    }
}

/// In Weir's words.
fn state(protocol: &str, state: &str) -> &'static str {
    match (protocol, state) {
        ("udp", "ESTAB") => "connected",
        ("udp", "UNCONN") => "unconnected",
        (_, "ESTAB") => "established",
        (_, "LISTEN") => "listen",
        (_, "SYN-SENT") => "syn_sent",
        (_, "SYN-RECV") => "syn_received",
        (_, "FIN-WAIT-1") => "fin_wait_1",
        (_, "FIN-WAIT-2") => "fin_wait_2",
        (_, "CLOSE-WAIT") => "close_wait",
        (_, "CLOSING") => "closing",
        (_, "LAST-ACK") => "last_ack",
        (_, "TIME-WAIT") => "time_wait",
        (_, "UNCONN") => "closed",
        _ => panic!("{protocol} {state}"),
    }
}

/// `10.0.0.1:80`, `[::ffff:10.0.0.1]:80`, `127.0.0.53%lo:53`; `*:80` is of both families, `0.0.0.0:*` nobody.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let address = address.trim_matches(['[', ']']).split('%').next()?;
    let address = if address == "*" { "::" } else { address };
    Some((address.parse::<IpAddr>().ok()?.to_canonical(), port))
}

/// The lines of `weir snapshot WHAT -o json`, run in a namespace.
pub fn snapshot(namespace: &Namespace, what: &str, args: &[&str]) -> Vec<Value> {
    let (status, printed, said) =
        Agent::run(namespace, &[], &[&["snapshot", what, "-o", "json"], args].concat());
    assert!(status.success() && said.is_empty(), "{status}: {said:?}");
    printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The sockets in such lines, each with its namespace.
pub fn sockets(lines: &[Value]) -> Vec<(String, Socket)> {
    let mut sockets: Vec<_> =
        lines.iter().map(|line| read(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    sockets.sort();
    sockets
}

fn read(line: &Value) -> Result<(String, Socket), String> {
    let address = |name: &str| -> Result<Option<IpAddr>, String> {
        let text = optional(line, name, text)?;
        text.map(|text| text.parse().map_err(|_| format!("{name}: no address"))).transpose()
    };
    let holders = line["holders"].as_array().ok_or("holders: not a list")?;
    let holders: BTreeSet<_> = holders.iter().filter_map(|pid| Some(pid.as_u64()? as u32)).collect();
    let pid = optional(line, "pid", number)?;
    if pid.is_some() == holders.is_empty() || pid.is_some_and(|pid| !holders.contains(&pid)) {
        return Err("pid is not of holders".into());
    }
    let socket = Socket {
        protocol: text(line, "protocol")?,
        state: text(line, "state")?,
        local: (address("local_address")?.ok_or("no local address")?, number(line, "local_port")?),
        remote: address("remote_address")?.zip(optional(line, "remote_port", number)?),
        holders,
    };
    Ok((text(line, "netns")?, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ss_shows_is_read() {
        let line =
            r#"tcp ESTAB 0 0 [::ffff:10.0.0.1]:80 10.0.0.2:4000 users:(("a b",pid=7,fd=3),("c",pid=8,fd=3))"#;
        let found = socket(line);
        assert_eq!((found.state.as_str(), found.holders), ("established", BTreeSet::from([7, 8])));
        assert_eq!(found.local, ("10.0.0.1".parse().expect("an address"), 80));
        let found = socket("udp UNCONN 0 0 *:53 *:*");
        assert_eq!((found.local.0.to_string(), found.remote, found.holders.len()), ("::".into(), None, 0));
    }
}
