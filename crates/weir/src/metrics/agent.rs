//! What the agent says of itself.

use super::families::{About, Families, Labels, about, one, packets};
use super::{Point, probes, pushes};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;
use std::fmt;
use weir_agent::{SinkState, Status};
use weir_record::{Count, PeerCondition, PeerState};

/// One look at it.
#[derive(Debug)]
pub struct Agent(pub Status<Point>);

impl Collector for Agent {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (status, mut families) = (&self.0, Families(encoder));
        let build = vec![("version", status.version.clone()), ("hook", status.hook.clone())];
        families.gauge(about("weir_build_info", "Which agent this is"), [(build, 1u64)])?;
        let uptime = about("weir_uptime", "Since it was attached").of(Unit::Seconds);
        families.gauge(uptime, one(status.uptime_seconds))?;
        ledger(&status.ledger, &mut families)?;
        kernel(status, &mut families)?;
        sinks(&status.sinks, &mut families)?;
        peers(&status.sinks, &mut families)?;
        pushes::encode(&status.pushes, &mut families)?;
        probes::encode(status, &mut families)?;
        cost(status, &mut families)
    }
}

/// One of the sums that make up what was seen: its name, what it is, and where it stands.
type Part = (&'static str, &'static str, fn(&Point) -> (u64, u64));

const PARTS: [Part; 4] = [
    (
        "weir_seen",
        "Counted by the probe, whatever became of it: the sum of exported, held, filtered, sampled out and lost",
        |point| (point.seen_packets, point.seen_bytes),
    ),
    ("weir_exported", "In records that an output has taken", |point| {
        (point.exported_packets, point.exported_bytes)
    }),
    ("weir_filtered", "Denied by a rule or the filter", |point| {
        (point.filtered_packets, point.filtered_bytes)
    }),
    ("weir_sampled_out", "Allowed by a rule that takes one packet in so many, and not taken", |point| {
        (point.sampled_out_packets, point.sampled_out_bytes)
    }),
];

fn ledger(points: &[Point], families: &mut Families<'_>) -> fmt::Result {
    for (name, help, of) in PARTS {
        let number = |of_both: fn((u64, u64)) -> u64| {
            points.iter().map(move |point| (place(point), of_both(of(point))))
        };
        families.counter(about(name, help).of(packets()), number(|both| both.0))?;
        families.counter(about(name, help).of(Unit::Bytes), number(|both| both.1))?;
    }
    let held = about("weir_held", "In the flow table, or on the way to an output");
    let number = |of: fn(&Point) -> u64| points.iter().map(move |point| (place(point), of(point)));
    families.gauge(held.clone().of(packets()), number(|point| point.held_packets))?;
    families.gauge(held.of(Unit::Bytes), number(|point| point.held_bytes))?;
    lost(points, families)?;
    let balanced = about("weir_ledger_balanced", "Whether the sum is right: 1, or 0 where there is a bug");
    families.gauge(balanced, number(|point| u64::from(point.balanced)))
}

/// By cause; what has lost nothing has no series.
fn lost(points: &[Point], families: &mut Families<'_>) -> fmt::Result {
    let number = |of: fn(&Count) -> u64| {
        points.iter().flat_map(move |point| {
            let by_cause = point.lost_by.iter();
            by_cause.map(move |(cause, count)| {
                let labels = place(point).into_iter().chain([("cause", cause.clone())]);
                (labels.collect::<Labels>(), of(count))
            })
        })
    };
    let help = about("weir_lost", "In no record, by cause");
    families.counter(help.clone().of(packets()), number(|count| count.packets))?;
    families.counter(help.of(Unit::Bytes), number(|count| count.bytes))
}

/// Where packets were counted.
fn place(point: &Point) -> Labels {
    vec![
        ("netns", point.netns.clone()),
        ("interface", point.interface.clone()),
        ("direction", point.direction.clone()),
        ("decapsulated", point.decapsulated.to_string()),
    ]
}

fn kernel(status: &Status<Point>, families: &mut Families<'_>) -> fmt::Result {
    let Status { kernel, drains, flows, interfaces, .. } = status;
    families.gauge(about("weir_interfaces", "Interfaces that are watched"), one(interfaces.len() as u64))?;
    families.gauge(about("weir_flows", "Flows that have not ended"), one(*flows))?;
    families.gauge(
        about("weir_kernel_entries", "Flow entries of the kernel's maps, on all CPUs"),
        one(kernel.entries),
    )?;
    let used = about("weir_kernel_entries_used", "Flow entries that the last drain found in use");
    families.gauge(used, one(kernel.entries_used))?;
    let memory = about("weir_kernel_memory", "What the kernel's maps take").of(Unit::Bytes);
    families.gauge(memory, one(kernel.memory_bytes))?;
    families.counter(about("weir_drains", "How often the maps were drained"), one(drains.count))?;
    let spent = about("weir_drain", "How long all drains took together").of(Unit::Seconds);
    families.counter(spent, one(drains.mean_seconds * drains.count as f64))?;
    let last = about("weir_last_drain", "How long the last drain took").of(Unit::Seconds);
    families.gauge(last, one(drains.last_seconds))
}

fn sinks(sinks: &[SinkState], families: &mut Families<'_>) -> fmt::Result {
    type Number = fn(&SinkState) -> u64;
    let number = |of: Number| sinks.iter().map(move |sink| (vec![("sink", sink.name.clone())], of(sink)));
    let grows: [(About, Number); 6] = [
        (about("weir_sink_written_records", "Records that an output has taken"), |sink| sink.written_records),
        (about("weir_sink_written", "What these count").of(packets()), |sink| sink.written.packets),
        (about("weir_sink_written", "What these count").of(Unit::Bytes), |sink| sink.written.bytes),
        (about("weir_sink_lost_records", "Records that an output could not take"), |sink| sink.lost_records),
        (about("weir_sink_lost", "What these count").of(packets()), |sink| sink.lost.packets),
        (about("weir_sink_lost", "What these count").of(Unit::Bytes), |sink| sink.lost.bytes),
    ];
    grows.into_iter().try_for_each(|(about, of)| families.counter(about, number(of)))?;
    let queued = about("weir_sink_queued_records", "Records that wait for an output");
    families.gauge(queued, number(|sink| sink.queued_records))?;
    let room = about("weir_sink_queue_capacity_records", "Records that may wait for an output");
    families.gauge(room, number(|sink| sink.queue_capacity))?;
    let failing =
        about("weir_sink_has_failed", "Whether an output has ever refused records: why is in weir status");
    families.gauge(failing, number(|sink| u64::from(sink.last_error.is_some())))
}

/// Of sinks that send to another program.
fn peers(sinks: &[SinkState], families: &mut Families<'_>) -> fmt::Result {
    type Number = fn(&PeerState) -> u64;
    let number = |of: Number| {
        let peers = sinks.iter().filter_map(|sink| Some((sink, sink.peer.as_ref()?)));
        peers.map(move |(sink, peer)| (vec![("sink", sink.name.clone())], of(peer)))
    };
    let grows: [(About, Number); 6] = [
        (about("weir_exporter_delivered_records", "Records that the peer was given"), |peer| {
            peer.delivered_records
        }),
        (
            about("weir_exporter_resent_records", "Records that were sent again after a connection broke"),
            |peer| peer.resent_records,
        ),
        (about("weir_exporter_filtered_records", "Records that its own filter left out"), |peer| {
            peer.filtered_records
        }),
        (about("weir_exporter_refused_records", "Records that the peer refused for good: lost"), |peer| {
            peer.refused_records
        }),
        (
            about("weir_exporter_damaged_records", "Records that its spool could not give back: lost"),
            |peer| peer.damaged_records,
        ),
        (about("weir_exporter_failures", "How often a connection broke, or could not be had"), |peer| {
            peer.failures
        }),
    ];
    grows.into_iter().try_for_each(|(about, of)| families.counter(about, number(of)))?;
    let connected = about("weir_exporter_connected", "Whether the peer takes what it is sent");
    families.gauge(connected, number(|peer| u64::from(peer.condition == PeerCondition::Connected)))?;
    let held = about("weir_exporter_held_back", "Whether the peer has had as much as its rate allows");
    families.gauge(held, number(|peer| u64::from(peer.held_back)))?;
    let waits = about("weir_exporter_spooled_records", "Records that wait on disk");
    families.gauge(waits, number(|peer| peer.spooled_records))?;
    let taken = about("weir_exporter_spool", "What these take").of(Unit::Bytes);
    families.gauge(taken, number(|peer| peer.spooled_bytes))?;
    let room = about("weir_exporter_spool_capacity", "What they may take").of(Unit::Bytes);
    families.gauge(room, number(|peer| peer.spool_capacity_bytes))
}

/// By the names that Prometheus has for every process, where it has any.
fn cost(status: &Status<Point>, families: &mut Families<'_>) -> fmt::Result {
    let cost = &status.cost;
    let cpu = about("process_cpu", "CPU time of the agent, user and system").of(Unit::Seconds);
    families.counter(cpu, one(cost.cpu_seconds))?;
    let resident = about("process_resident_memory", "Resident memory of the agent").of(Unit::Bytes);
    families.gauge(resident, one(cost.resident_bytes))?;
    let timed =
        about("weir_programs_timed", "Whether the host times BPF programs now: kernel.bpf_stats_enabled");
    families.gauge(timed, one(u64::from(cost.timed)))?;
    let programs = || {
        cost.programs
            .iter()
            .map(|program| (vec![("program", program.name.clone()), ("id", program.id.to_string())], program))
    };
    let runs = about("weir_program_runs", "How often a program ran while programs were timed");
    families.counter(runs, programs().map(|(labels, program)| (labels, program.runs)))?;
    let time =
        about("weir_program_run", "How long a program ran while programs were timed").of(Unit::Seconds);
    families.counter(time, programs().map(|(labels, program)| (labels, program.run_time_ns as f64 / 1e9)))
}
