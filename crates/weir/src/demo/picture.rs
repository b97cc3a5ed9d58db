//! The network on the screen, in 80 columns.

use super::line::Line;
use super::programs::{Cast, Role};
use super::stage::{CLIENT_1, CLIENT_2, DB, DNS, Host, SCANNER, Stage, WEB};

/// Clients on the left, with what they use.
const CLIENTS: [(&Host, &[Role]); 3] = [
    (&CLIENT_1, &[Role::Fetch, Role::Lookup, Role::Query]),
    (&SCANNER, &[Role::Scan]),
    (&CLIENT_2, &[Role::Fetch, Role::Lookup]),
];
/// Wires between a client and a server, and below them.
const WIRES: [(&str, &str); 3] = [
    ("---------------+          +-- ", " |          |"),
    ("------------ switch ------+-- ", " ~          |"),
    ("-- switch-2 ~~~+          +-- ", "lossy line       "),
];
/// Servers on the right.
const SERVERS: [(&Host, Role); 3] = [(&WEB, Role::Web), (&DB, Role::Database), (&DNS, Role::NameServer)];

/// The picture's lines, and how to look inside.
pub fn lines(stage: Stage, cast: &Cast, line: &Line) -> Vec<String> {
    let mut lines = Vec::new();
    for (((client, uses), (wire, below)), (server, role)) in CLIENTS.into_iter().zip(WIRES).zip(SERVERS) {
        let uses = names(cast, uses);
        let Host { name, address } = client;
        lines.push(format!("{name:<9} {address:<12}{wire}{:<4} {}", server.name, server.address));
        let room = 39 - below.len();
        lines.push(format!("{:10}{uses:<room$.room$}{below}{:8}{}", "", "", cast.name(role)));
    }
    lines.push(String::new());
    lines.push(format!("lossy line: {}", line.about()));
    let stand_ins = cast.stand_ins();
    if !stand_ins.is_empty() {
        lines.push(format!("stand-ins of weir: {}", stand_ins.join(", ")));
    }
    lines.push(format!("look inside: ip netns exec {} ip -s link", stage.router()));
    lines.push(String::new());
    lines
}

/// Who plays, each once.
fn names(cast: &Cast, roles: &[Role]) -> String {
    let mut names: Vec<_> = roles.iter().map(|role| cast.name(*role)).collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_and_names_everybody() {
        let stage = Stage { pid: 4_194_304 };
        for (cast, kind) in [(Cast::choose(true), None), (Cast::choose(false), Some("tbf"))] {
            let lines = lines(stage, &cast, &Line { stage, kind });
            for host in super::super::stage::HOSTS {
                let address = host.address.to_string();
                let names = |line: &&String| line.contains(host.name) && line.contains(&address);
                assert_eq!(lines.iter().filter(names).count(), 1, "{host:?}: {lines:#?}");
            }
            assert!(lines.iter().all(|line| line.is_ascii() && line.len() <= 80), "{lines:#?}");
        }
    }
}
