//! A row for each socket.

use super::health::Health;
use super::users::Users;
use super::who::{Who, holders, place};
use super::{Sheet, in_namespaces, or_dash, plural};
use crate::table::{Align, Column};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use weir_agent::{Snapshot, Socket};
use weir_record::protocol_text;

const COLUMNS: [Column; 9] = [
    ("PROTO", Align::Left),
    ("STATE", Align::Left),
    ("LOCAL", Align::Left),
    ("REMOTE", Align::Left),
    ("PROCESS", Align::Left),
    ("PID", Align::Right),
    ("USER", Align::Left),
    ("WHERE", Align::Left),
    ("NETNS", Align::Left),
];

/// The table. One namespace needs no name.
pub fn sheet(snapshot: &Snapshot) -> Sheet {
    let mut users = Users::default();
    let columns = if snapshot.namespaces > 1 { &COLUMNS[..] } else { &COLUMNS[..COLUMNS.len() - 1] };
    let processes: BTreeSet<_> =
        snapshot.sockets.iter().flat_map(holders).map(|process| process.pid).collect();
    let row = |socket: &Socket| {
        let mut cells = cells(socket, &mut users);
        cells.truncate(columns.len());
        cells
    };
    Sheet {
        summary: format!(
            "{} of {}{}",
            plural(snapshot.sockets.len(), "socket"),
            plural(processes.len(), "process"),
            in_namespaces(snapshot)
        ),
        columns,
        expendable: &["USER", "WHERE"],
        rows: snapshot.sockets.iter().map(row).collect(),
    }
}

fn cells(socket: &Socket, users: &mut Users) -> Vec<String> {
    let first = holders(socket).next();
    vec![
        protocol_text(socket.protocol).to_owned(),
        socket.state.as_str().into(),
        socket.local.to_string(),
        or_dash(socket.remote.map(|remote| remote.to_string())),
        or_dash(first.map(|process| process.command.clone() + &others(socket))),
        or_dash(first.map(|process| process.pid.to_string())),
        or_dash(socket.user_id.map(|user| users.name(user))),
        or_dash(socket.holders.first().and_then(|end| place(end))),
        socket.netns.to_string(),
    ]
}

/// How many more processes have it.
fn others(socket: &Socket) -> String {
    match socket.holders.len() {
        0 | 1 => String::new(),
        all => format!(" +{}", all - 1),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    netns: &'a str,
    protocol: &'static str,
    state: &'static str,
    local_address: IpAddr,
    local_port: u16,
    remote_address: Option<IpAddr>,
    remote_port: Option<u16>,
    user_id: Option<u32>,
    #[serde(flatten)]
    who: Who<'a>,
    /// The numbers of all processes that have it.
    holders: Vec<u32>,
    #[serde(flatten)]
    health: Health,
}

/// A line of JSON each.
pub fn lines(snapshot: &Snapshot) -> impl Iterator<Item = impl Serialize> {
    snapshot.sockets.iter().map(|socket| Line {
        r#type: "socket",
        netns: &socket.netns,
        protocol: protocol_text(socket.protocol),
        state: socket.state.as_str(),
        local_address: socket.local.ip(),
        local_port: socket.local.port(),
        remote_address: socket.remote.map(|remote| remote.ip()),
        remote_port: socket.remote.map(|remote| remote.port()),
        user_id: socket.user_id,
        who: Who::of(socket.holders.first().map(|end| &**end)),
        holders: holders(socket).map(|process| process.pid).collect(),
        health: Health::of(socket.fared),
    })
}

#[cfg(test)]
pub mod tests {
    use super::super::who::tests;
    use super::*;
    use std::net::SocketAddr;
    use weir_agent::SocketState;
    use weir_record::End;

    /// On port 80 of TCP.
    pub fn socket(state: SocketState, holders: Vec<std::sync::Arc<End>>) -> Socket {
        let at = |address: [u8; 4], port: u16| SocketAddr::from((address, port));
        let remote = (!state.serves()).then(|| at([10, 0, 0, 2], 4000));
        Socket {
            netns: "blue".into(),
            protocol: 6,
            state,
            local: at([10, 0, 0, 1], 80),
            remote,
            user_id: Some(0),
            holders,
            fared: None,
        }
    }

    /// Of these sockets, in as many namespaces.
    pub fn snapshot(sockets: Vec<Socket>, namespaces: usize) -> Snapshot {
        Snapshot { sockets, namespaces, remarks: Vec::new() }
    }

    #[test]
    fn the_oldest_holder_stands_for_all_of_them() {
        let held = vec![tests::end(7, "nginx"), tests::end(8, "worker")];
        let listens = socket(SocketState::Listen, held);
        let over = Socket { user_id: None, ..socket(SocketState::TimeWait, Vec::new()) };
        let both = snapshot(vec![listens, over], 1);
        let sheet = sheet(&both);
        assert_eq!(sheet.summary, "2 sockets of 2 processes");
        let place = "4f1d2a7c9be3";
        assert_eq!(sheet.rows[0], ["tcp", "listen", "10.0.0.1:80", "-", "nginx +1", "7", "root", place]);
        assert_eq!(sheet.rows[1], ["tcp", "time_wait", "10.0.0.1:80", "10.0.0.2:4000", "-", "-", "-", "-"]);
        let said: Vec<_> = lines(&both).map(|line| serde_json::to_value(line).expect("JSON")).collect();
        assert_eq!((&said[0]["pid"], &said[0]["holders"]), (&7.into(), &serde_json::json!([7, 8])));
        assert_eq!((&said[1]["pid"], &said[1]["remote_port"]), (&serde_json::Value::Null, &4000.into()));
    }

    #[test]
    fn several_namespaces_have_names() {
        let sheet = sheet(&snapshot(vec![socket(SocketState::Established, Vec::new())], 3));
        assert_eq!(sheet.summary, "1 socket of 0 processes in 3 network namespaces");
        assert_eq!((sheet.columns.len(), sheet.rows[0].last().map(String::as_str)), (9, Some("blue")));
    }
}
