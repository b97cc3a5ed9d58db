//! Cost by flows, loss and consumer by rate, throughput by senders.

use super::axis::Scale;
use super::lines::{Axis, Lines, Look, Panel, Series};
use super::{Chart, Drawing};
use crate::report::figures::{self, number};
use crate::report::study;
use crate::results::{LoadPoint, NONE, Results, Usl, WEIR, by_flows};

/// Costs below this, in nanoseconds, cannot be told from noise, and the scale has to begin somewhere.
const FLOOR_NS: f64 = 10.0;

/// What watching a packet costs, by the number of flows.
pub fn cost(results: &Results) -> Option<Chart> {
    let traffics = by_flows(results);
    let mut series = Vec::new();
    for (arm, look) in arms(results).into_iter().filter(|(arm, _)| arm != NONE) {
        let of = |traffic: &str| results.of(&arm, traffic).map(|one| one.cost_ns).filter(|ns| ns.is_finite());
        let point = |flows: u32, ns: f64| (f64::from(flows), ns);
        let points = traffics.iter().filter_map(|one| Some(point(one.flows, of(&one.name)?))).collect();
        series.push(Series { name: arm, look, points, law: Vec::new() });
    }
    series.retain(|series| !series.points.is_empty());
    let (least, most) = (traffics.first()?.flows, traffics.last()?.flows);
    let costs = series.iter().flat_map(|series| &series.points).map(|point| point.1);
    let y = Scale::logarithmic(FLOOR_NS, costs);
    chart(Parts {
        file: "cost-by-flows.svg",
        title: "Cost of watching a packet, by number of flows",
        notes: vec![format!(
            "`cost_ns`: how much longer a packet took on the sending CPU than with `{NONE}`, and the consumer's CPU time \
             per packet. Lower is better. Both scales are logarithmic; what costs {FLOOR_NS} ns or less lies on the lower \
             edge.",
        )],
        x: Axis {
            title: "flows".into(),
            scale: Scale::between(f64::from(least), f64::from(most), true),
            text: |flows, _| figures::count(flows as u64),
        },
        y: Axis {
            title: "ns per packet".into(),
            scale: y,
            text: |ns, _| if ns <= FLOOR_NS { format!("≤ {}", number(ns, 0)) } else { number(ns, 0) },
        },
        panels: vec![Panel { title: String::new(), series }],
    })
}

/// What is lost, by the rate of packets.
pub fn loss(results: &Results) -> Option<Chart> {
    let all = results.load.iter().map(|point| point.lost_share);
    let y = Axis { title: "packets lost".into(), scale: Scale::linear(all), text: percent };
    by_rate(results, |point| point.lost_share, y, "loss-by-rate.svg", "Packets lost, by rate")
}

/// What the consumer needs, by the rate of packets.
pub fn consumer(results: &Results) -> Option<Chart> {
    let all = results.load.iter().map(|point| point.consumer_cpu);
    let y = Axis {
        title: "CPU time of the consumer (100 % is one CPU)".into(),
        scale: Scale::linear(all),
        text: percent,
    };
    by_rate(
        results,
        |point| point.consumer_cpu,
        y,
        "consumer-by-rate.svg",
        "CPU time of the consumer, by rate",
    )
}

fn by_rate(
    results: &Results,
    value: fn(&LoadPoint) -> f64,
    y: Axis,
    file: &'static str,
    title: &'static str,
) -> Option<Chart> {
    let mut panels = Vec::new();
    let mut notes = vec!["Lower is better. The rate is the one that was asked for.".to_string()];
    for traffic in unique(results.load.iter().map(|point| &point.traffic)) {
        let mut series = Vec::new();
        for (arm, look) in arms(results) {
            let here = results.load.iter().filter(|point| point.arm == arm && point.traffic == traffic);
            let points = here.map(|point| (point.offered_mpps, value(point)));
            let mut points: Vec<_> = points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            series.push(Series { name: arm, look, points, law: Vec::new() });
        }
        series.retain(|series| !series.points.is_empty());
        notes.extend(merge_idle(&mut series));
        panels.push(Panel { title: format!("Traffic {traffic}"), series });
    }
    let points = panels.iter().flat_map(|panel: &Panel| &panel.series).flat_map(|series| &series.points);
    let fastest = points.map(|point| point.0).fold(0.0, f64::max);
    let x = Axis {
        title: "offered rate, million packets per second".into(),
        scale: Scale::between(0.0, fastest, false),
        text: number,
    };
    chart(Parts { file, title, notes, x, y, panels })
}

/// Makes one line of all others than ours that lie on the lower edge, and says which they are.
fn merge_idle(series: &mut Vec<Series>) -> Option<String> {
    let is_idle = |one: &Series| one.look != Look::Ours && one.points.iter().all(|point| point.1 <= 0.0);
    if series.iter().filter(|one| is_idle(one)).count() < 2 {
        return None;
    }
    let (idle, busy): (Vec<_>, Vec<_>) = series.drain(..).partition(is_idle);
    *series = busy;
    let name = format!("{} others at 0", idle.len());
    let names: Vec<String> = idle.iter().map(|one| format!("`{}`", one.name)).collect();
    let points = idle.into_iter().max_by_key(|one| one.points.len())?.points;
    series.push(Series { name: name.clone(), look: Look::Several, points, law: Vec::new() });
    Some(format!("“{name}”: {}.", figures::and(&names)))
}

/// Throughput by the number of senders, with the law that fits.
pub fn scaling(results: &Results) -> Option<Chart> {
    let mut panels = Vec::new();
    let mut notes = vec![
        "Markers: what was measured. Dashed: the universal scalability law fitted to it, drawn to twice the number of \
         senders that there were."
            .to_string(),
    ];
    for traffic in unique(results.scaling.iter().map(|scaling| &scaling.traffic)) {
        let mut series = Vec::new();
        for (name, look) in arms(results) {
            let found = results.scaling.iter().find(|one| one.arm == name && one.traffic == traffic);
            let Some(scaling) = found else { continue };
            let points = scaling.points.iter().map(|point| (f64::from(point.senders), point.mpps));
            let points: Vec<_> = points.filter(|point| point.1.is_finite()).collect();
            let most = points.iter().map(|point| point.0).fold(1.0, f64::max);
            let law = scaling.fit.map_or(Vec::new(), |fit| law(fit, most));
            series.push(Series { name, look, points, law });
        }
        panels.push(Panel { title: format!("Traffic {traffic}"), series });
    }
    for note in unique(results.scaling.iter().map(|scaling| &scaling.note))
        .into_iter()
        .filter(|note| !note.is_empty())
    {
        let of = results.scaling.iter().filter(|scaling| scaling.note == note);
        let names: Vec<String> = of.map(|one| format!("`{}` under `{}`", one.arm, one.traffic)).collect();
        notes.push(format!("{}: {note}", figures::and(&names)));
    }
    let all =
        || panels.iter().flat_map(|panel| &panel.series).flat_map(|one| one.points.iter().chain(&one.law));
    let x = Axis {
        title: "senders, each on a CPU of its own".into(),
        scale: Scale::counting(all().map(|point| point.0).fold(2.0, f64::max)),
        text: number,
    };
    let y = Axis {
        title: "million packets per second, all together".into(),
        scale: Scale::linear(all().map(|point| point.1)),
        text: number,
    };
    chart(Parts { file: "scaling.svg", title: "Throughput by number of senders", notes, x, y, panels })
}

/// The law from one sender to twice as many as were measured.
fn law(fit: Usl, most: f64) -> Vec<(f64, f64)> {
    const STEPS: u32 = 40;
    let at = |step: u32| {
        let n = 1.0 + f64::from(step) / f64::from(STEPS) * (2.0 * most - 1.0);
        (n, fit.throughput(n))
    };
    (0..=STEPS).map(at).filter(|point| point.1.is_finite()).collect()
}

/// What a chart with lines is made of.
struct Parts {
    file: &'static str,
    title: &'static str,
    notes: Vec<String>,
    x: Axis,
    y: Axis,
    panels: Vec<Panel>,
}

fn chart(parts: Parts) -> Option<Chart> {
    let Parts { file, title, notes, x, y, mut panels } = parts;
    panels.retain(|panel| panel.series.iter().any(|series| !series.points.is_empty()));
    if panels.is_empty() {
        return None;
    }
    let point = |&(a, b): &(f64, f64)| format!("{}: {}", number(a, 2), number(b, 4));
    let line = |series: &Series| {
        format!("{} {}", series.name, series.points.iter().map(point).collect::<Vec<_>>().join(", "))
    };
    let lines = panels.iter().flat_map(|panel| &panel.series).map(line).collect::<Vec<_>>().join("; ");
    let words = format!("{} by {}. {lines}", y.title, x.title);
    Some(Chart { file, title: title.into(), notes, words, drawing: Drawing::Lines(Lines { x, y, panels }) })
}

/// All arms, each with its look.
fn arms(results: &Results) -> Vec<(String, Look)> {
    let look = |number, name: &str| if name == WEIR { Look::Ours } else { Look::Other(number) };
    study::arms(results)
        .into_iter()
        .enumerate()
        .map(|(n, arm)| (arm.name.clone(), look(n, &arm.name)))
        .collect()
}

/// A tick in percent; `digits` are those of the share.
fn percent(share: f64, digits: usize) -> String {
    format!("{} %", number(share * 100.0, digits.saturating_sub(2)))
}

/// Each once, in the order of their first appearance.
fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(&name.as_str()) {
            once.push(name);
        }
    }
    once
}
