//! The screen: at most 24 lines, 80 columns wide, for a host as they mostly are.

use super::facts::{facts, seconds};
use crate::table::{self, ALARM, Align, Column, FINE, QUIET, TITLE};
use crate::text;
use serde::Deserialize;
use std::collections::BTreeMap;
use weir_agent::{Status, WatchedInterface};

/// What the screen takes from an entry of the ledger.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Totals {
    #[serde(default)]
    netns: String,
    interface_index: u32,
    direction: String,
    #[serde(default)]
    decapsulated: bool,
    balanced: bool,
    seen_packets: u64,
    seen_bytes: u64,
    exported_packets: u64,
    held_packets: u64,
    #[serde(default)]
    filtered_packets: u64,
    #[serde(default)]
    sampled_out_packets: u64,
    lost_packets: u64,
}

/// A terminal's, without the one where the prompt will be.
const LINES: usize = 23;

const COLUMNS: [Column; 7] = [
    ("INTERFACE", Align::Left),
    ("ATTACHED", Align::Left),
    ("IN PACKETS", Align::Right),
    ("IN BYTES", Align::Right),
    ("OUT PACKETS", Align::Right),
    ("OUT BYTES", Align::Right),
    ("LOST", Align::Right),
];
const EXPENDABLE: [&str; 1] = ["ATTACHED"];

/// The lines of one agent.
pub fn lines(status: &Status<Totals>, width: usize) -> Vec<String> {
    let balance = balance(&status.ledger, width);
    let facts = facts(status);
    // Beside the head, two blank lines and the titles of the table.
    let room = LINES.saturating_sub(4 + balance.len() + facts.len()).max(1);
    let mut lines = vec![head(status)];
    lines.extend(balance);
    lines.push(String::new());
    lines.extend(interfaces(status, room, width));
    lines.push(String::new());
    lines.extend(facts.into_iter().map(|(name, fact)| format!("{TITLE}{name:<13}{TITLE:#}{fact}")));
    lines
}

fn head(status: &Status<Totals>) -> String {
    let hook = if status.hook == "tcx" { "TCX links" } else { "clsact filters" };
    let up = seconds(status.uptime_seconds);
    format!("weir {}  process {}  up {up}  {hook}", status.version, status.pid)
}

/// In one line where it fits, with exact numbers where they fit; else in two.
fn balance(ledger: &[Totals], width: usize) -> Vec<String> {
    let fits = |line: &String| table::width(line) <= width;
    let [exact, short] = [text::grouped, text::count].map(|number| sides(ledger, number));
    let one = [&exact, &short].map(|(seen, outcomes)| format!("{seen} {outcomes}"));
    let two = [exact, short].map(|(seen, outcomes)| vec![seen, outcomes]);
    match one.into_iter().find(fits) {
        Some(line) => vec![line],
        None => {
            let [exact, short] = two;
            if exact.iter().all(fits) { exact } else { short }
        }
    }
}

/// What was seen, and what became of it. `number` writes packets.
fn sides(ledger: &[Totals], number: fn(u64) -> String) -> (String, String) {
    let sum = |of: fn(&Totals) -> u64| ledger.iter().map(of).sum::<u64>();
    let lost = sum(|t| t.lost_packets);
    let seen =
        format!("{} packets ({}) seen", number(sum(|t| t.seen_packets)), text::bytes(sum(|t| t.seen_bytes)));
    let (exported, held) = (sum(|t| t.exported_packets), sum(|t| t.held_packets));
    let mut counted = format!("= {} exported + {} held + ", number(exported), number(held));
    for (count, what) in
        [(sum(|t| t.filtered_packets), "filtered"), (sum(|t| t.sampled_out_packets), "sampled out")]
    {
        if count > 0 {
            counted.push_str(&format!("{} {what} + ", number(count)));
        }
    }
    let (style, verdict) = match (ledger.iter().all(|t| t.balanced), lost) {
        (true, 0) => (FINE, ""),
        (true, _) => (ALARM, ""),
        (false, _) => (ALARM, ": the books do not balance: this is a bug"),
    };
    (seen, format!("{counted}{style}{} lost{verdict}{style:#}", number(lost)))
}

/// At most `most` of them.
fn interfaces(status: &Status<Totals>, most: usize, width: usize) -> Vec<String> {
    let mut totals: BTreeMap<(&str, u32), (Totals, Totals)> = BTreeMap::new();
    for entry in status.ledger.iter().filter(|entry| !entry.decapsulated) {
        let (ingress, egress) = totals.entry((&entry.netns, entry.interface_index)).or_default();
        // The last is the living one: accounts of interfaces that are gone come first.
        *(if entry.direction == "ingress" { ingress } else { egress }) = entry.clone();
    }
    let mut rows: Vec<_> = status
        .interfaces
        .iter()
        .map(|one| (one, totals.remove(&(one.netns.as_str(), one.interface_index)).unwrap_or_default()))
        .collect();
    let all = rows.len();
    // Those that matter, in their own order.
    if all > most {
        rows.sort_by_key(|(_, (i, e))| {
            std::cmp::Reverse((i.lost_packets + e.lost_packets, i.seen_bytes + e.seen_bytes))
        });
        rows.truncate(most - 1);
        rows.sort_by_key(|(one, _)| (!one.own_netns, &one.netns, one.interface_index));
    }
    let cells: Vec<_> = rows.iter().map(|(one, (ingress, egress))| row(one, ingress, egress)).collect();
    let (columns, cells) = table::narrow(&COLUMNS, &cells, width, &EXPENDABLE);
    let mut lines = table::render(&columns, &cells, width);
    if all > rows.len() {
        lines.push(format!("{QUIET}… and {} more, -o json lists all{QUIET:#}", all - rows.len()));
    }
    lines
}

fn row(one: &WatchedInterface, ingress: &Totals, egress: &Totals) -> Vec<String> {
    let attached = if one.programs == 0 { "gone".into() } else { seconds(one.attached_seconds) };
    vec![
        if one.own_netns { one.interface.clone() } else { format!("{}/{}", one.netns, one.interface) },
        attached,
        text::count(ingress.seen_packets),
        text::bytes(ingress.seen_bytes),
        text::count(egress.seen_packets),
        text::bytes(egress.seen_bytes),
        text::count(ingress.lost_packets + egress.lost_packets),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// What an agent says that watches `interfaces`, with `packets` in at each.
    pub fn status(interfaces: u32, packets: u64) -> Status<Totals> {
        let watched: Vec<_> = (1..=interfaces)
            .map(|n| json!({"own_netns": true, "interface": format!("veth{n}"), "interface_index": n, "attached_seconds": 4e4, "programs": 2}))
            .collect();
        let entry = |n: u32, direction: &str, packets: u64| {
            json!({"interface_index": n, "direction": direction, "balanced": true, "seen_packets": packets,
                "seen_bytes": packets * 100, "exported_packets": packets, "held_packets": 0, "lost_packets": 0})
        };
        let ledger: Vec<_> = (1..=interfaces)
            .flat_map(|n| [entry(n, "ingress", packets * u64::from(n)), entry(n, "egress", 1)])
            .collect();
        serde_json::from_value(json!({
            "instance": 1, "socket": "/run/weir/weir.sock", "pid": 4_194_303, "version": "0.1.0",
            "uptime_seconds": 1e7, "hook": "clsact", "interfaces": watched, "ledger": ledger,
            "kernel": {"memory_bytes": 1u64 << 30, "entries_used": 1_000_000, "entries": 4_000_000},
            "flows": 500_000, "a_later_version_adds": "this",
            "drains": {"count": 10_000_000, "last_seconds": 0.02, "mean_seconds": 0.012, "apart_seconds": 1.0},
            "sinks": [{"name": "json", "written_records": 1_000_000_000, "queued_records": 262_144,
                "queue_capacity": 262_144, "lost_records": 0, "last_error": null}],
            "cost": {"timed": true, "cpu_seconds": 1e5, "resident_bytes": 33 << 20,
                "programs": [{"name": "weir_ingress", "id": 7, "runs": 10, "run_time_ns": 420}]},
            "settings": {"interval_seconds": 1.0, "idle_timeout_seconds": 15.0, "active_timeout_seconds": 60.0,
                "memory_budget_bytes": 1u64 << 30, "max_flows": 500_000}
        }))
        .expect("a status")
    }

    #[test]
    fn fits_a_terminal() {
        for (interfaces, packets) in [(0, 0), (1, 1), (9, 1_000_000), (10, 7), (400, 1_000_000_000_000)] {
            let mut status = status(interfaces, packets);
            for (filtered, sampled_out) in [(0, 0), (1, 0), (packets, packets)] {
                for entry in &mut status.ledger {
                    (entry.filtered_packets, entry.sampled_out_packets) = (filtered, sampled_out);
                }
                let lines = lines(&status, 80);
                assert!(lines.len() <= 23, "{lines:#?}");
                assert!(lines.iter().all(|line| table::width(line) <= 80), "{lines:#?}");
            }
        }
    }

    #[test]
    fn kubernetes_has_lines_of_its_own_and_all_fits() {
        let mut status = status(400, 7);
        let known = json!({"server": "https://10.96.0.1:443", "connected": true, "since_seconds": 200.0,
            "last_error": null, "pods": 131_072, "services": 32_768, "nodes": 16_384, "left_out": 0});
        status.identity.kubernetes = serde_json::from_value(known).expect("a state");
        let text = lines(&status, 80).join("\n");
        assert!(text.contains("pods: 131 072, services: 32 768, nodes: 16 384; none left out"), "{text}");
        assert!(text.contains("https://10.96.0.1:443, told of changes for "), "{text}");
        let kubernetes = &mut status.identity.kubernetes;
        (kubernetes.connected, kubernetes.left_out) = (false, 1_234_567);
        kubernetes.last_error = Some("x".repeat(500));
        let lines = lines(&status, 80);
        assert!(lines.iter().any(|line| line.contains("1 234 567 left out")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("not told of changes for ")), "{lines:#?}");
        assert!(lines.len() <= 23 && lines.iter().all(|line| table::width(line) <= 80), "{lines:#?}");
    }

    #[test]
    fn the_busiest_interfaces_are_shown_and_the_others_counted() {
        let lines = lines(&status(12, 1_000), 80);
        assert!(lines.iter().any(|line| line.contains("… and 9 more, -o json lists all")), "{lines:#?}");
        let shown = |name: &str| lines.iter().any(|line| line.starts_with(name));
        assert!(shown("veth12 ") && shown("veth10 ") && !shown("veth9 "), "{lines:#?}");
    }

    #[test]
    fn losses_and_errors_are_said() {
        let mut status = status(1, 5);
        status.ledger[0].lost_packets = 1_234;
        status.sinks[0].lost_records = 3;
        status.sinks[0].last_error = Some("no space left".into());
        let text = lines(&status, 80).join("\n");
        assert!(text.contains("1 234 lost") && text.contains("3 lost: no space left"), "{text}");
        status.ledger[0].balanced = false;
        assert!(lines(&status, 80)[2].contains("this is a bug"), "in the second of two lines");
    }
}
