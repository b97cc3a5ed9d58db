//! What there is to say of an agent, a line each.

use super::screen::Totals;
use super::{containers, drops, exporters, kubernetes, pushes};
use crate::table::{self, ALARM, QUIET};
use crate::text;
use std::time::Duration;
use weir_agent::{Effective, HealthState, NamesState, SinkState, Status};
use weir_probes::flows::PROGRAMS;

/// Room for a fact on an 80-column terminal.
const FACT_WIDTH: usize = 66;
/// As much of a sink's name is shown in any case.
const SHORT_NAME: usize = 8;

/// All of them, each with what it is called.
pub fn facts(status: &Status<Totals>) -> Vec<(&'static str, String)> {
    let first = [
        ("kernel maps", kernel_maps(status)),
        ("flow table", flow_table(status)),
        ("drains", drains(status)),
    ];
    let sinks = status
        .sinks
        .iter()
        .flat_map(|sink| [("sink", self::sink(sink))].into_iter().chain(exporters::lines(sink)));
    let pushes = status.pushes.iter().flat_map(pushes::lines);
    let containers = containers::line(&status.identity.containers).map(|fact| ("containers", fact));
    let rest = [
        ("programs", programs(status)),
        ("identity", identity(status)),
        ("names", names(&status.identity.names)),
        ("tcp", tcp(&status.tcp)),
        ("nat", nat(status)),
        ("drops", drops::line(&status.drops)),
        ("agent", process(status)),
        ("timeouts", timeouts(status)),
        ("policy", policy(status)),
        ("socket", status.socket.display().to_string()),
    ];
    let kubernetes = kubernetes::facts(&status.identity.kubernetes);
    first.into_iter().chain(sinks).chain(pushes).chain(containers).chain(rest).chain(kubernetes).collect()
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
    let done = format!(
        "{} records written, {} of {} queued, ",
        text::count(sink.written_records),
        text::count(sink.queued_records),
        text::count(sink.queue_capacity)
    );
    let lost = format!("{} lost", text::grouped(sink.lost_records));
    // A name may be a URL: what has become of the records goes first.
    let room = FACT_WIDTH.saturating_sub(": ".len() + done.len() + lost.len());
    let name = cut_to(sink.name.clone(), room.max(SHORT_NAME));
    let lost = match (&sink.last_error, sink.lost_records) {
        (Some(error), _) => format!("{ALARM}{lost}: {error}{ALARM:#}"),
        (None, 0) => lost,
        (None, _) => format!("{ALARM}{lost}{ALARM:#}"),
    };
    format!("{name}: {done}{lost}")
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

/// Connections whose health is known.
fn tcp(health: &HealthState) -> String {
    if !health.on {
        return format!("{QUIET}off: records do not say how TCP connections fare{QUIET:#}");
    }
    let forgotten = health.evicted_connections + health.evicted_handshakes;
    let lost = match (forgotten, health.lost_ends + health.lost_handshakes) {
        (0, 0) => "none forgotten".into(),
        (forgotten, lost) => {
            let (forgotten, lost) = (text::grouped(forgotten), text::grouped(lost));
            format!("{ALARM}{forgotten} forgotten, {lost} of ends and handshakes lost{ALARM:#}")
        }
    };
    let took = format!("{:.1} ms", health.look_seconds * 1e3);
    format!("{} connections, the last look took {took}, {lost}", text::grouped(health.connections))
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
        (names.messages.lost_dns_messages, "messages lost"),
        (names.messages.malformed_dns_messages, "malformed"),
        (names.messages.strays(), "answers to no question"),
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

/// What is wrong, below what it is about.
pub fn alarm(error: &str) -> (&'static str, String) {
    ("", format!("{ALARM}{}{ALARM:#}", cut(error.to_owned())))
}

/// As much of a fact as there is room for.
pub fn cut(fact: String) -> String {
    cut_to(fact, FACT_WIDTH)
}

fn cut_to(text: String, width: usize) -> String {
    if table::width(&text) <= width {
        return text;
    }
    format!("{}…", table::start(&text, width - 1))
}

/// The agent may be another version's, or somebody else's program: any number is shown.
pub fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".into(), text::time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::screen::tests::status;

    #[test]
    fn a_sink_of_a_long_name_fits() {
        let mut status = status(1, 5);
        let sink = &mut status.sinks[0];
        sink.name = "https://collector.example:8443/flows".into();
        (sink.written_records, sink.queued_records) = (305, 0);
        let line = super::sink(sink);
        assert!(line.starts_with("https://") && line.ends_with(" 0 lost"), "{line}");
        assert!(table::width(&line) <= FACT_WIDTH, "{line}");
    }

    #[test]
    fn programs_have_a_price_where_they_are_timed() {
        let mut status = status(1, 5);
        assert!(programs(&status).starts_with("42 ns per run"), "{}", programs(&status));
        status.cost.timed = false;
        assert!(programs(&status).contains("weir cost"));
    }
}
