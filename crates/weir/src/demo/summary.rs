//! What was seen, in a few lines: from the agent's records and ledger, not from the script.

use super::network::LINE;
use super::stage::{self, DNS_PORT};
use super::tally::{Conversation, Tally};
use crate::table::{self, Align, Column};
use crate::text;
use std::collections::BTreeMap;
use std::net::IpAddr;
use weir_agent::Books;
use weir_record::{Count, Direction};

/// As many conversations as fit beside the rest.
const MOST: usize = 5;
/// Who tries more ports of one host than this is scanning them.
const MANY_PORTS: usize = 100;

const COLUMNS: [Column; 6] = [
    ("CLIENT", Align::Left),
    ("SERVER", Align::Left),
    ("SERVICE", Align::Left),
    ("PACKETS", Align::Right),
    ("TO SERVER", Align::Right),
    ("TO CLIENT", Align::Right),
];

/// The lines; `dropped` is what `tc -s qdisc` said of the line.
pub fn lines(tally: &Tally, books: &Books, dropped: Option<u64>) -> Vec<String> {
    let conversations = tally.conversations();
    let mut lines = vec![String::new()];
    lines.extend(table::render(&COLUMNS, &rows(&conversations), 80));
    lines.push(String::new());
    let seen = |interface: &str, direction| {
        let mut accounts = books.accounts();
        accounts
            .find(|account| account.interface.name == interface && account.direction == direction)
            .map(|account| account.seen)
    };
    if let (Some(near), Some(far)) = (seen(LINE[0], Direction::Egress), seen(LINE[1], Direction::Ingress)) {
        lines.push(loss(near, far, dropped));
    }
    lines.extend(scans(&conversations));
    lines.extend(lookups(&conversations));
    lines
}

fn rows(conversations: &[Conversation]) -> Vec<Vec<String>> {
    let row = |one: &Conversation| {
        let port = one.service.port.map_or(String::new(), |port| format!(" {port}"));
        vec![
            name(one.client),
            name(one.service.server),
            format!("{}{port}", one.service.protocol),
            text::grouped(one.total().packets),
            text::bytes(one.asked.bytes),
            text::bytes(one.answered.bytes),
        ]
    };
    conversations.iter().take(MOST).map(row).collect()
}

/// The picture says which address is whose.
fn name(address: IpAddr) -> String {
    stage::at(address).map_or_else(|| address.to_string(), |host| host.name.to_string())
}

fn loss(near: Count, far: Count, dropped: Option<u64>) -> String {
    let lost = near.packets.saturating_sub(far.packets);
    let share = lost as f64 * 100.0 / near.packets.max(1) as f64;
    let witness =
        dropped.map_or(String::new(), |dropped| format!("; tc -s qdisc: {}", text::grouped(dropped)));
    format!(
        "lossy line: {} packets in, {} out: {} lost ({share:.1} %){witness}",
        text::grouped(near.packets),
        text::grouped(far.packets),
        text::grouped(lost),
    )
}

/// Who tried many ports of one host, and which of them took a connection.
fn scans(conversations: &[Conversation]) -> Vec<String> {
    let mut tried: BTreeMap<_, Vec<&Conversation>> = BTreeMap::new();
    for one in conversations.iter().filter(|one| one.service.protocol == "tcp" && one.asked.packets > 0) {
        tried.entry((one.client, one.service.server)).or_default().push(one);
    }
    tried.retain(|_, ports| ports.len() > MANY_PORTS);
    let line = |((client, server), ports): ((IpAddr, IpAddr), Vec<&Conversation>)| {
        let open = ports.iter().filter(|one| one.accepted).filter_map(|one| one.service.port);
        let open: Vec<_> = open.map(|port| port.to_string()).collect();
        let open = if open.is_empty() { "none".into() } else { open.join(", ") };
        let count = text::grouped(ports.len() as u64);
        format!("port scan: {} tried {count} ports of {}; open: {open}", name(client), name(server))
    };
    tried.into_iter().map(line).collect()
}

fn lookups(conversations: &[Conversation]) -> Option<String> {
    let asked: Vec<_> = conversations
        .iter()
        .filter(|one| one.service.port == Some(DNS_PORT) && one.service.protocol == "udp")
        .collect();
    let questions: u64 = asked.iter().map(|one| one.asked.packets).sum();
    let answers: u64 = asked.iter().map(|one| one.answered.packets).sum();
    let by = |one: &&Conversation| format!("{} {}", name(one.client), text::grouped(one.asked.packets));
    let clients: Vec<_> = asked.iter().map(by).collect();
    (questions > 0).then(|| {
        let (questions, answers) = (text::grouped(questions), text::grouped(answers));
        format!("DNS: {questions} questions ({}), {answers} answers", clients.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tally::{Overheard, record};
    use crate::view::Nowhere;
    use std::sync::{Arc, Mutex};
    use weir_agent::Sink;

    #[test]
    fn scans_and_lookups_are_found() {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let mut sink = Overheard::new(Nowhere, &tally);
        let scan = |port| {
            let (scanner, web) = (("192.0.2.66", 40_000), ("192.0.2.80", port));
            let answer = if port == 80 { 2 | 16 } else { 4 | 16 };
            record([scanner, web], [1, 1], [2, answer])
        };
        let (client, dns) = (("192.0.2.11", 50_000), ("192.0.2.53", 53));
        let mut records: Vec<_> = (1..=1024).map(scan).collect();
        records.push(record([client, dns], [3, 2], [0, 0]));
        sink.write(&records).expect("nowhere takes all");

        let conversations = tally.lock().expect("no panic").conversations();
        assert_eq!(scans(&conversations), ["port scan: scanner tried 1 024 ports of web; open: 80"]);
        assert_eq!(lookups(&conversations).as_deref(), Some("DNS: 3 questions (client-1 3), 2 answers"));
        assert_eq!(scans(&tally_of_few_ports()), Vec::<String>::new());
    }

    fn tally_of_few_ports() -> Vec<Conversation> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let one = |port| record([("192.0.2.66", 40_000), ("192.0.2.80", port)], [1, 0], [2, 0]);
        let records: Vec<_> = (1..=MANY_PORTS as u16).map(one).collect();
        Overheard::new(Nowhere, &tally).write(&records).expect("nowhere takes all");
        tally.lock().expect("no panic").conversations()
    }

    #[test]
    fn loss_is_what_went_in_and_did_not_come_out() {
        let count = |packets| Count { packets, bytes: 0 };
        assert_eq!(
            loss(count(2000), count(1950), Some(50)),
            "lossy line: 2 000 packets in, 1 950 out: 50 lost (2.5 %); tc -s qdisc: 50"
        );
        assert_eq!(loss(count(0), count(0), None), "lossy line: 0 packets in, 0 out: 0 lost (0.0 %)");
    }
}
