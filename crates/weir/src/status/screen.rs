//! The screen: at most 24 lines, 80 columns wide, for a host as they mostly are.

use super::{containers, kubernetes};
use crate::table::{self, ALARM, Align, Column, FINE, QUIET, TITLE};
use crate::text;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use weir_agent::{Effective, NamesState, SinkState, Status, WatchedInterface};
use weir_probes::flows::PROGRAMS;

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

/// Interfaces that are shown: with all the rest and a balance of one line, 24 lines.
const MOST_INTERFACES: usize = 6;
/// Room for a fact on an 80-column terminal.
const FACT_WIDTH: usize = 66;

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
    let kubernetes = kubernetes::facts(&status.identity.kubernetes);
    let containers = containers::line(&status.identity.containers).map(|fact| ("containers", fact));
    let room = MOST_INTERFACES + 1 - balance.len() - kubernetes.len() - containers.iter().len();
    let mut lines = vec![head(status)];
    lines.extend(balance);
    lines.push(String::new());
    lines.extend(interfaces(status, room, width));
    lines.push(String::new());
    let facts = [
        ("kernel maps", kernel_maps(status)),
        ("flow table", flow_table(status)),
        ("drains", drains(status)),
    ];
    let sinks = status.sinks.iter().map(|sink| ("sink", self::sink(sink)));
    let rest = [
        ("programs", programs(status)),
        ("identity", identity(status)),
        ("names", names(&status.identity.names)),
        ("nat", nat(status)),
        ("agent", process(status)),
        ("timeouts", timeouts(status)),
        ("policy", policy(status)),
        ("socket", status.socket.display().to_string()),
    ];
    let facts = facts.into_iter().chain(sinks).chain(containers).chain(rest).chain(kubernetes);
    lines.extend(facts.map(|(name, fact)| format!("{TITLE}{name:<13}{TITLE:#}{fact}")));
    lines
}

fn head(status: &Status<Totals>) -> String {
    let hook = if status.hook == "tcx" { "TCX links" } else { "clsact filters" };
    let up = seconds(status.uptime_seconds);
    format!("weir {}  process {}  up {up}  {hook}", status.version, status.pid)
}

/// In one line where it fits, with exact numbers where they fit; else in two.
fn balance(ledger: &[Totals], width: usize) -> Vec<String> {
    let fits = |line: &String| console_width(line) <= width;
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

/// Without what only colours.
fn console_width(line: &str) -> usize {
    anstream::adapter::strip_str(line).map(|part| part.chars().count()).sum()
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

fn kernel_maps(status: &Status<Totals>) -> String {
    let maps = &status.kernel;
    format!(
        "{}, {} of {} entries used at the last drain",
        text::bytes(maps.memory_bytes),
        text::grouped(maps.entries_used),
        text::grouped(maps.entries)
    )
}

fn flow_table(status: &Status<Totals>) -> String {
    format!("{} of {} flows", text::grouped(status.flows), text::grouped(status.settings.max_flows))
}

fn drains(status: &Status<Totals>) -> String {
    let drains = &status.drains;
    let took = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
    format!(
        "{}, every {}; the last took {}, the mean is {}",
        text::grouped(drains.count),
        seconds(status.settings.interval_seconds),
        took(drains.last_seconds),
        took(drains.mean_seconds)
    )
}

fn sink(sink: &SinkState) -> String {
    let mut line = format!(
        "{}: {} records written, {} of {} queued, ",
        sink.name,
        text::count(sink.written_records),
        text::count(sink.queued_records),
        text::count(sink.queue_capacity)
    );
    let lost = text::grouped(sink.lost_records);
    line.push_str(&match (&sink.last_error, sink.lost_records) {
        (Some(error), _) => format!("{ALARM}{lost} lost: {error}{ALARM:#}"),
        (None, 0) => "0 lost".into(),
        (None, _) => format!("{ALARM}{lost} lost{ALARM:#}"),
    });
    line
}

fn identity(status: &Status<Totals>) -> String {
    let identity = &status.identity.talkers;
    if identity.sockets == 0 && ["", "off"].contains(&identity.hooks.as_str()) {
        return format!("{QUIET}off: records do not say which processes talk{QUIET:#}");
    }
    let forgotten = identity.evicted_sockets + identity.evicted_processes;
    let lost = match (forgotten, identity.lost_events + identity.lost_process_events) {
        (0, 0) => "none forgotten".into(),
        (forgotten, lost) => {
            let (forgotten, lost) = (text::grouped(forgotten), text::grouped(lost));
            format!("{ALARM}{forgotten} forgotten, {lost} events lost{ALARM:#}")
        }
    };
    let short_lived = if identity.process_hooks == "proc" { ", from /proc only" } else { "" };
    let (sockets, processes) = (text::grouped(identity.sockets), text::grouped(identity.processes));
    format!("{sockets} sockets of {processes} processes by {}{short_lived}, {lost}", identity.hooks)
}

/// Addresses that have a name or a place, by source.
fn names(names: &NamesState) -> String {
    let sources = [
        (names.dns, names.dns_addresses, "by DNS"),
        (names.hosts > 0, names.hosts, "by the hosts file"),
        (names.labels > 0, names.labels, "labels"),
        (names.databases > 0, names.databases, "databases"),
        (names.reverse_dns_addresses > 0, names.reverse_dns_addresses, "asked for"),
    ];
    let sources = sources.into_iter().filter(|(is_used, ..)| *is_used);
    let mut parts: Vec<_> =
        sources.map(|(_, number, source)| format!("{} {source}", text::count(number))).collect();
    if parts.is_empty() {
        parts.push(format!("{QUIET}none{QUIET:#}"));
    }
    let lost = [
        (names.lost_dns_answers, "answers lost"),
        (names.malformed_dns_answers, "malformed"),
        (names.evicted_dns_addresses, "forgotten"),
        (names.dropped_reverse_dns_questions, "not asked"),
    ];
    let lost = lost.into_iter().filter(|(number, _)| *number > 0);
    parts.extend(lost.map(|(number, what)| format!("{ALARM}{} {what}{ALARM:#}", text::count(number))));
    parts.join(", ")
}

fn nat(status: &Status<Totals>) -> String {
    let nat = &status.nat;
    if nat.namespaces == 0 {
        return format!("{QUIET}not followed: it is off, or there is no conntrack{QUIET:#}");
    }
    let known = text::grouped(nat.translations);
    let missed = [
        (nat.evicted_translations, "forgotten"),
        (nat.late_translations, "late"),
        (nat.lost_events, "events lost"),
    ];
    let missed: Vec<_> = missed.iter().filter(|(count, _)| *count > 0).collect();
    if missed.is_empty() {
        return format!("{known} translations known, none forgotten or late");
    }
    let missed = missed.iter().map(|(count, what)| format!("{} {what}", text::grouped(*count)));
    format!("{known} translations known, {ALARM}{}{ALARM:#}", missed.collect::<Vec<_>>().join(", "))
}

fn programs(status: &Status<Totals>) -> String {
    let programs: Vec<_> =
        status.cost.programs.iter().filter(|program| PROGRAMS.contains(&program.name.as_str())).collect();
    let runs: u64 = programs.iter().map(|program| program.runs).sum();
    let nanoseconds: u64 = programs.iter().map(|program| program.run_time_ns).sum();
    if status.cost.timed && runs > 0 {
        let each = nanoseconds as f64 / runs as f64;
        return format!("{each:.0} ns per run, over {} runs that were timed", text::grouped(runs));
    }
    let why = if status.cost.timed { "no run was timed yet" } else { "not timed now" };
    format!("{QUIET}{why}: `weir cost` measures what a packet costs{QUIET:#}")
}

fn process(status: &Status<Totals>) -> String {
    let cost = &status.cost;
    let share = cost.cpu_seconds / status.uptime_seconds.max(1e-3) * 100.0;
    format!(
        "{} of CPU time ({share:.2} % of one), {} resident",
        seconds(cost.cpu_seconds),
        text::bytes(cost.resident_bytes)
    )
}

fn timeouts(status: &Status<Totals>) -> String {
    let settings = &status.settings;
    format!(
        "idle {}, active {}",
        seconds(settings.idle_timeout_seconds),
        seconds(settings.active_timeout_seconds)
    )
}

/// Rules and filter, in a line.
fn policy(status: &Status<Totals>) -> String {
    let Effective { filter, rules, .. } = &status.settings;
    let rules = match rules.len() {
        0 => "every packet is counted".into(),
        1 => format!("1 rule: {}", rules[0]),
        more => format!("{more} rules"),
    };
    cut(match filter {
        Some(filter) => format!("{rules}; written: {filter}"),
        None => format!("{rules}, every record written"),
    })
}

/// As much of a fact as there is room for.
pub(super) fn cut(fact: String) -> String {
    if fact.chars().count() <= FACT_WIDTH {
        return fact;
    }
    let start: String = fact.chars().take(FACT_WIDTH - 1).collect();
    format!("{start}…")
}

/// The agent may be another version's, or somebody else's program: any number is shown.
pub(super) fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".into(), text::time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What an agent says that watches `interfaces`, with `packets` in at each.
    fn status(interfaces: u32, packets: u64) -> Status<Totals> {
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
                assert!(lines.iter().all(|line| console_width(line) <= 80), "{lines:#?}");
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
        assert!(lines.len() <= 23 && lines.iter().all(|line| console_width(line) <= 80), "{lines:#?}");
    }

    #[test]
    fn the_busiest_interfaces_are_shown_and_the_others_counted() {
        let lines = lines(&status(12, 1_000), 80);
        assert!(lines.iter().any(|line| line.contains("… and 7 more, -o json lists all")), "{lines:#?}");
        let shown = |name: &str| lines.iter().any(|line| line.starts_with(name));
        assert!(shown("veth12 ") && shown("veth8 ") && !shown("veth7 "), "{lines:#?}");
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

    #[test]
    fn programs_have_a_price_where_they_are_timed() {
        let mut status = status(1, 5);
        assert!(programs(&status).starts_with("42 ns per run"), "{}", programs(&status));
        status.cost.timed = false;
        assert!(programs(&status).contains("weir cost"));
    }
}
