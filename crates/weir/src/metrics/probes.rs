//! What is known beside packets, and what was missed of it.

use super::Point;
use super::families::{Families, Labels, about, one, packets};
use prometheus_client::registry::Unit;
use std::fmt;
use weir_agent::Status;

pub fn encode(status: &Status<Point>, families: &mut Families<'_>) -> fmt::Result {
    let lost = about("weir_probe_lost_events", "Events that the kernel had no room for");
    families.counter(lost, of_each(lost_events(status)))?;
    let evicted = about("weir_probe_evicted", "What was forgotten for want of room, while it held");
    families.counter(evicted, of_each(evictions(status)))?;
    let known = about("weir_known", "What the agent remembers now");
    families.gauge(known, of_each(memories(status)))?;
    let room = about("weir_known_capacity", "How much of that it may remember: the oldest go then");
    families.gauge(room, of_each(rooms(status)))?;
    dns(status, families)?;
    drops(status, families)
}

/// A number of each kind of thing.
type Numbers<const N: usize> = [(&'static str, u64); N];

fn of_each<const N: usize>(numbers: Numbers<N>) -> impl Iterator<Item = (Labels, u64)> {
    numbers.into_iter().map(|(of, number)| (vec![("of", of.to_owned())], number))
}

fn lost_events(status: &Status<Point>) -> Numbers<6> {
    let Status { identity, tcp, nat, .. } = status;
    [
        ("sockets", identity.talkers.lost_events),
        ("processes", identity.talkers.lost_process_events),
        ("dns_messages", identity.names.messages.lost_dns_messages),
        ("tcp_ends", tcp.lost_ends),
        ("tcp_handshakes", tcp.lost_handshakes),
        ("translations", nat.lost_events),
    ]
}

fn evictions(status: &Status<Point>) -> Numbers<7> {
    let Status { identity, tcp, nat, .. } = status;
    [
        ("sockets", identity.talkers.evicted_sockets),
        ("processes", identity.talkers.evicted_processes),
        ("dns_addresses", identity.names.evicted_dns_addresses),
        ("dns_questions", identity.names.messages.evicted_dns_questions),
        ("tcp_connections", tcp.evicted_connections),
        ("tcp_handshakes", tcp.evicted_handshakes),
        ("translations", nat.evicted_translations),
    ]
}

fn memories(status: &Status<Point>) -> Numbers<5> {
    let Status { identity, tcp, nat, .. } = status;
    [
        ("sockets", identity.talkers.sockets),
        ("processes", identity.talkers.processes),
        ("dns_addresses", identity.names.dns_addresses),
        ("tcp_connections", tcp.connections),
        ("translations", nat.translations),
    ]
}

fn rooms(status: &Status<Point>) -> Numbers<5> {
    let Status { identity, tcp, nat, .. } = status;
    [
        ("sockets", identity.talkers.socket_capacity),
        ("processes", identity.talkers.process_capacity),
        ("dns_addresses", identity.names.dns_address_capacity),
        ("tcp_connections", tcp.connection_capacity),
        ("translations", nat.translation_capacity),
    ]
}

fn dns(status: &Status<Point>, families: &mut Families<'_>) -> fmt::Result {
    let messages = &status.identity.names.messages;
    families
        .counter(about("weir_dns_messages", "DNS messages that were read"), one(messages.dns_messages))?;
    families.counter(
        about("weir_dns_answers", "DNS answers to questions that were seen"),
        one(messages.dns_answers),
    )?;
    families.counter(
        about("weir_dns_timeouts", "DNS questions that nobody answered"),
        one(messages.dns_timeouts),
    )?;
    let latency = about("weir_dns_latency", "How long answers to DNS questions took").of(Unit::Seconds);
    families.histogram(latency, one(messages.dns_latency))?;
    let malformed = about("weir_dns_malformed_messages", "DNS messages that make no sense");
    families.counter(malformed, one(messages.malformed_dns_messages))
}

/// What the host threw away, in the kernel's own words.
fn drops(status: &Status<Point>, families: &mut Families<'_>) -> fmt::Result {
    let drops = &status.drops;
    let reasons = drops.reasons.iter().map(|dropped| {
        let labels = vec![("source", dropped.source.clone()), ("reason", dropped.reason.clone())];
        (labels, dropped.packets)
    });
    families.counter(
        about("weir_dropped", "Packets that the host threw away, by reason").of(packets()),
        reasons,
    )?;
    let uncounted =
        about("weir_drops_uncounted", "Packets thrown away while another was being counted").of(packets());
    families.counter(uncounted, one(drops.lost_packets))
}
