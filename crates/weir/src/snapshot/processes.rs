//! A row for each process that has sockets.

use super::health::Health;
use super::users::Users;
use super::who::{Who, place};
use super::{Sheet, in_namespaces, or_dash, plural};
use crate::table::{Align, Column};
use crate::text;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use weir_agent::{Fared, Snapshot, Socket};
use weir_record::{End, protocol_text};

const COLUMNS: [Column; 8] = [
    ("PROCESS", Align::Left),
    ("PID", Align::Right),
    ("USER", Align::Left),
    ("WHERE", Align::Left),
    ("SERVES", Align::Left),
    ("CONNS", Align::Right),
    ("RTT", Align::Right),
    ("RETR", Align::Right),
];

/// A process, and its sockets.
struct Held<'a> {
    end: &'a End,
    sockets: Vec<&'a Socket>,
}

impl<'a> Held<'a> {
    /// All of them, by number.
    fn all(snapshot: &'a Snapshot) -> impl Iterator<Item = Self> {
        let mut all: BTreeMap<u32, Self> = BTreeMap::new();
        for socket in &snapshot.sockets {
            for end in &socket.holders {
                let pid = end.process.as_ref().map_or(0, |process| process.pid);
                let held = all.entry(pid).or_insert_with(|| Self { end, sockets: Vec::new() });
                held.sockets.push(socket);
            }
        }
        all.into_values()
    }

    fn serving(&self) -> impl Iterator<Item = &'a Socket> {
        self.sockets.iter().copied().filter(|socket| socket.state.serves())
    }

    fn connections(&self) -> usize {
        self.sockets.len() - self.serving().count()
    }

    /// Of its connections of TCP together; none where it has none.
    fn fared(&self) -> Option<Fared> {
        self.sockets.iter().filter_map(|socket| socket.fared).reduce(Fared::with)
    }

    fn user_id(&self) -> Option<u32> {
        self.end.process.as_ref().map(|process| process.user_id)
    }

    /// `tcp 80,443 udp 53`, the ports in their order.
    fn ports(&self) -> Option<String> {
        let mut ports: BTreeMap<u8, BTreeSet<u16>> = BTreeMap::new();
        for socket in self.serving() {
            ports.entry(socket.protocol).or_default().insert(socket.local.port());
        }
        let of = |(number, ports): (u8, BTreeSet<u16>)| {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!("{} {}", protocol_text(number), ports.join(","))
        };
        (!ports.is_empty()).then(|| ports.into_iter().map(of).collect::<Vec<_>>().join(" "))
    }

    fn cells(&self, users: &mut Users) -> Vec<String> {
        let process = self.end.process.as_ref();
        let Fared { rtt, retransmitted_segments, .. } = self.fared().unwrap_or_default();
        vec![
            or_dash(process.map(|process| process.command.clone())),
            or_dash(process.map(|process| process.pid.to_string())),
            or_dash(self.user_id().map(|user| users.name(user))),
            or_dash(place(self.end)),
            or_dash(self.ports()),
            self.connections().to_string(),
            or_dash(rtt.map(text::micros)),
            or_dash((retransmitted_segments > 0).then(|| text::count(retransmitted_segments))),
        ]
    }
}

/// The table.
pub fn sheet(snapshot: &Snapshot) -> Sheet {
    let mut users = Users::default();
    let rows: Vec<_> = Held::all(snapshot).map(|held| held.cells(&mut users)).collect();
    let held = snapshot.sockets.iter().filter(|socket| !socket.holders.is_empty()).count();
    let nobodys = match snapshot.sockets.len() - held {
        0 => String::new(),
        more => format!("; {more} more of no process"),
    };
    let (processes, sockets) = (plural(rows.len(), "process"), plural(held, "socket"));
    Sheet {
        summary: format!("{processes} with {sockets}{}{nobodys}", in_namespaces(snapshot)),
        columns: &COLUMNS,
        expendable: &["USER", "WHERE", "RETR", "RTT"],
        rows,
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    who: Who<'a>,
    user_id: Option<u32>,
    /// Network namespaces of its sockets.
    netns: BTreeSet<&'a str>,
    sockets: usize,
    connections: usize,
    serves: Vec<Serves<'a>>,
    #[serde(flatten)]
    health: Health,
}

/// A socket that is there for whoever comes.
#[derive(Serialize)]
struct Serves<'a> {
    netns: &'a str,
    protocol: &'static str,
    local_address: IpAddr,
    local_port: u16,
}

impl<'a> From<&'a Socket> for Serves<'a> {
    fn from(socket: &'a Socket) -> Self {
        Self {
            netns: &socket.netns,
            protocol: protocol_text(socket.protocol),
            local_address: socket.local.ip(),
            local_port: socket.local.port(),
        }
    }
}

/// A line of JSON each.
pub fn lines(snapshot: &Snapshot) -> impl Iterator<Item = impl Serialize> {
    Held::all(snapshot).map(|held| Line {
        r#type: "process",
        who: Who::of(Some(held.end)),
        user_id: held.user_id(),
        netns: held.sockets.iter().map(|socket| &*socket.netns).collect(),
        sockets: held.sockets.len(),
        connections: held.connections(),
        serves: held.serving().map(Serves::from).collect(),
        health: Health::of(held.fared()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sockets::tests::{snapshot, socket};
    use super::super::who::tests::end;
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use weir_agent::SocketState;

    fn fared(state: SocketState, holder: &Arc<End>, (rtt, segments): (Option<u64>, u64)) -> Socket {
        let fared = Fared { rtt, retransmitted_segments: segments, retransmitted_bytes: 1000 * segments };
        Socket { fared: Some(fared), ..socket(state, vec![Arc::clone(holder)]) }
    }

    #[test]
    fn a_process_has_what_it_serves_and_its_connections() {
        let (master, worker) = (end(7, "nginx"), end(8, "nginx"));
        let dns = Socket { protocol: 17, ..socket(SocketState::Unconnected, vec![worker.clone()]) };
        let sockets = vec![
            socket(SocketState::Listen, vec![master.clone(), worker.clone()]),
            fared(SocketState::Established, &worker, (Some(1_500), 2)),
            fared(SocketState::SynSent, &worker, (None, 5)),
            fared(SocketState::CloseWait, &worker, (Some(90), 0)),
            dns,
            socket(SocketState::TimeWait, Vec::new()),
        ];
        let snapshot = snapshot(sockets, 1);
        let sheet = sheet(&snapshot);
        assert_eq!(sheet.summary, "2 processes with 5 sockets; 1 more of no process");
        let place = "4f1d2a7c9be3";
        assert_eq!(sheet.rows[0], ["nginx", "7", "root", place, "tcp 80", "0", "-", "-"]);
        assert_eq!(sheet.rows[1], ["nginx", "8", "root", place, "tcp 80 udp 80", "3", "1.5 ms", "7"]);
        let said: Vec<_> = lines(&snapshot).map(|line| serde_json::to_value(line).expect("JSON")).collect();
        assert_eq!((&said[1]["sockets"], &said[1]["connections"]), (&5.into(), &3.into()));
        let serves =
            json!({"netns": "blue", "protocol": "udp", "local_address": "10.0.0.1", "local_port": 80});
        assert_eq!(said[1]["serves"][1], serves);
        let health = |line: &serde_json::Value| {
            ["tcp_rtt", "tcp_retransmitted_segments", "tcp_retransmitted_bytes"]
                .map(|name| line[name].clone())
        };
        assert_eq!(health(&said[0]), [json!(null), json!(null), json!(null)]);
        assert_eq!(health(&said[1]), [json!(1_500), json!(7), json!(7000)]);
    }
}
