//! What shall not be new.

use super::compare::{Found, Met};
use super::relation::Role;
use super::words::{peer, port};
use clap::ValueEnum;

/// How many are named; the rest is in what was printed.
const NAMED: usize = 3;

/// What ends with an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Rule {
    /// This host began conversations with somebody elsewhere with whom it had not
    #[value(name = "new-egress")]
    Egress,
    /// Somebody elsewhere, whoever began
    #[value(name = "new-peer")]
    Peer,
    /// A port that is served here, or used elsewhere
    #[value(name = "new-port")]
    Port,
    /// A process
    #[value(name = "new-process")]
    Process,
}

impl Rule {
    /// Whether there is any.
    pub fn is_broken(self, new: &Found) -> bool {
        !self.names(new).is_empty()
    }

    /// Which, for people.
    pub fn told(self, new: &Found) -> String {
        let names = self.names(new);
        let word = match self {
            Self::Egress => "new egress",
            Self::Peer => "new peer",
            Self::Port => "new port",
            Self::Process => "new process",
        };
        let rest = names.len().saturating_sub(NAMED);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let first: Vec<_> = names.into_iter().take(NAMED).collect();
        format!("{word}: {}{more}", first.join(", "))
    }

    fn names(self, new: &Found) -> Vec<String> {
        let peers = |is_meant: fn(&Met) -> bool| {
            new.peers.iter().map(|(met, _)| met).filter(|met| is_meant(met)).map(peer).collect()
        };
        match self {
            Self::Egress => peers(|met| met.role == Role::To),
            Self::Peer => peers(|_| true),
            Self::Port => new.ports.iter().map(|(key, _)| port(key)).collect(),
            Self::Process => new.processes.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Host, Seen};
    use super::*;

    #[test]
    fn egress_is_what_this_host_begins() {
        let met = |role, name: &str| {
            let host = Host::Name(name.into());
            (Met { role, host, port: Some(443), protocol: 6, addresses: Default::default() }, Seen::default())
        };
        let from = Found { peers: vec![met(Role::From, "a")], ..Found::default() };
        assert!(!Rule::Egress.is_broken(&from) && Rule::Peer.is_broken(&from));
        assert!(!Rule::Port.is_broken(&from) && !Rule::Process.is_broken(&from));
        let names = ["a", "b", "c", "d", "e"];
        let to = Found { peers: names.map(|name| met(Role::To, name)).into(), ..Found::default() };
        assert!(Rule::Egress.is_broken(&to));
        assert_eq!(Rule::Egress.told(&to), "new egress: to a:443/tcp, to b:443/tcp, to c:443/tcp and 2 more");
    }
}
