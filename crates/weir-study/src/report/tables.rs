//! The figures in tables: of every arm under every traffic, and of every round.

use super::markup::{Element, element};
use super::{figures, study};
use crate::results::{ArmInfo, Measured, Results, TrafficInfo, WEIR};

/// The row of headings: each with a line below it.
pub fn head(columns: &[(&str, &str)]) -> Element {
    let heading = |&(name, below): &(&str, &str)| {
        let heading = element("th").set("scope", "col").text(name);
        if below.is_empty() { heading } else { heading.with(element("small").text(below)) }
    };
    element("thead").with(element("tr").with_all(columns.iter().map(heading)))
}

/// A table that scrolls on its own where it is wider than the page.
pub fn scroll(name: &str, table: Element) -> Element {
    let scroll = element("div").class("scroll").set("role", "region").set("tabindex", "0");
    scroll.set("aria-label", name).with(table)
}

const COLUMNS: [(&str, &str); 11] = [
    ("arm", ""),
    ("throughput", "Mpps"),
    ("ratio to none", "95 % interval"),
    ("cost_ns", "per packet"),
    ("lost", "by cause"),
    ("flows", "told ÷ sent"),
    ("packets", "told ÷ passed"),
    ("consumer", "of one CPU"),
    ("added_ns", "in place"),
    ("isolated_ns", "on its own"),
    ("maps", "memory"),
];

/// The section with a table for each traffic.
pub fn section(results: &Results) -> Element {
    let arms = study::arms(results);
    let shown: Vec<String> = [study::one_flow(results), study::many_flows(results)]
        .into_iter()
        .flatten()
        .map(|one| one.name)
        .collect();
    let tables = study::traffics(results).into_iter().map(|traffic| {
        let details = element("details");
        let details = if shown.contains(&traffic.name) { details.set("open", "") } else { details };
        details
            .with(element("summary").prose(&format!("Traffic `{}`", traffic.name)))
            .with(element("p").class("note").text(about(&traffic)))
            .with(table(results, &arms, &traffic))
    });
    element("section")
        .set("id", "figures")
        .with(element("h2").text("All figures"))
        .with(element("p").text(
            "A table for each traffic. Losses carry the sign ▲ and their causes; – stands for what an arm cannot tell, or \
             what was not measured. What the columns mean is said under “How it was measured”.",
        ))
        .with_all(tables)
}

fn about(traffic: &TrafficInfo) -> String {
    let mut parts = Vec::from_iter((!traffic.about.is_empty()).then(|| traffic.about.clone()));
    if traffic.flows > 0 && !traffic.about.contains(&study::flows(traffic)) {
        parts.push(study::flows(traffic));
    }
    if traffic.bytes.is_finite() && traffic.bytes > 0.0 {
        parts.push(format!("{} bytes a frame", figures::number(traffic.bytes, 0)));
    }
    if !traffic.generator.is_empty() {
        parts.push(format!("sent by the {} generator", traffic.generator));
    }
    parts.join("; ")
}

fn table(results: &Results, arms: &[ArmInfo], traffic: &TrafficInfo) -> Element {
    let row = |arm: &ArmInfo| {
        let name = element("th").set("scope", "row").text(&arm.name);
        let measured = results.of(&arm.name, &traffic.name);
        let whose = if arm.name == WEIR { "ours" } else { "other" };
        let lossy = if measured.is_some_and(study::has_lost) { " lossy" } else { "" };
        let row = element("tr").class(format!("{whose}{lossy}")).with(name);
        match measured {
            Some(measured) => row.with_all(cells(measured)),
            None => row.with(not_measured(arm)),
        }
    };
    let body = element("tbody").with_all(arms.iter().map(row));
    scroll(&format!("Figures of traffic {}", traffic.name), element("table").with(head(&COLUMNS)).with(body))
}

fn not_measured(arm: &ArmInfo) -> Element {
    let why = arm.skipped.as_ref().map_or(String::new(), |why| format!(": {why}"));
    element("td").class("words").set("colspan", COLUMNS.len() - 1).text(format!("not measured{why}"))
}

fn cells(one: &Measured) -> Vec<Element> {
    use figures::{bytes, mpps, ns, or_missing, percent, ratio};
    let cell = |text: String| element("td").text(text);
    let two = |text: String, below: String| cell(text).with(element("small").text(below));
    vec![
        two(mpps(one.mpps), format!("{}–{}", mpps(one.mpps_low), mpps(one.mpps_high))),
        two(ratio(one.ratio), format!("{}–{}", ratio(one.ratio_low), ratio(one.ratio_high))),
        if one.disturbed { two(ns(one.cost_ns), "machine slow".into()) } else { cell(ns(one.cost_ns)) },
        lost(one),
        cell(or_missing(one.accuracy_flows, percent)),
        cell(or_missing(one.accuracy_packets, percent)),
        cell(percent(one.consumer_cpu)),
        cell(or_missing(one.added_ns, ns)),
        cell(or_missing(one.isolated_ns, ns)),
        cell(if one.map_bytes == 0 { figures::MISSING.into() } else { bytes(one.map_bytes) }),
    ]
}

/// How many, what share, and why.
fn lost(one: &Measured) -> Element {
    if !study::has_lost(one) {
        let none = if study::is_watching(&one.arm) { "0" } else { figures::MISSING };
        return element("td").text(none);
    }
    let share = figures::or_missing(study::lost_share(one), figures::percent);
    let causes = one.lost_by_cause.iter().filter(|(_, packets)| **packets > 0);
    let causes = causes.map(|(cause, packets)| format!("{cause}: {}", figures::count(*packets)));
    element("td")
        .class("lost")
        .text(format!("▲ {} ({share})", figures::count(one.lost)))
        .with_all(causes.map(|cause| element("small").text(cause)))
}

/// What every round has measured.
pub fn raw(results: &Results) -> Element {
    let tables = study::traffics(results).into_iter().flat_map(|traffic| {
        let here: Vec<&Measured> = results.results.iter().filter(|one| one.traffic == traffic.name).collect();
        let title = element("h3").prose(&format!("Traffic `{}`", traffic.name));
        (!here.is_empty()).then(|| [title, rounds(&traffic.name, &here)]).into_iter().flatten()
    });
    let loads = (!results.load.is_empty()).then(|| [element("h3").text("At given rates"), load(results)]);
    let details =
        element("details").class("raw").with(element("summary").text("Show the figures of each round"));
    element("section")
        .set("id", "raw")
        .with(element("h2").text("Raw figures"))
        .with(element("p").prose(
            "What each round has measured. All of it is in `results.json` too, and the tables above in `results.csv`.",
        ))
        .with(details.with_all(tables).with_all(loads.into_iter().flatten()))
}

/// A row for each arm and each measure, a column for each round.
fn rounds(traffic: &str, measured: &[&Measured]) -> Element {
    let most =
        measured.iter().map(|one| one.mpps_rounds.len().max(one.ratio_rounds.len())).max().unwrap_or(0);
    let names: Vec<String> = (1..=most).map(|round| round.to_string()).collect();
    let columns =
        [("arm", ""), ("measure", "")].into_iter().chain(names.iter().map(|name| (name.as_str(), "")));
    let row = |one: &Measured, measure: &str, values: &[f64], figure: fn(f64) -> String| {
        let cells =
            (0..most).map(|n| element("td").text(figures::or_missing(values.get(n).copied(), figure)));
        element("tr")
            .with(element("th").set("scope", "row").text(&one.arm))
            .with(element("td").class("words").text(measure))
            .with_all(cells)
    };
    let rows = measured.iter().flat_map(|one| {
        [
            row(one, "Mpps", &one.mpps_rounds, figures::mpps),
            row(one, "ratio", &one.ratio_rounds, figures::ratio),
            row(one, "slower_ns", &one.slower_ns_rounds, figures::ns),
        ]
    });
    let table =
        element("table").with(head(&columns.collect::<Vec<_>>())).with(element("tbody").with_all(rows));
    scroll(&format!("Rounds of traffic {traffic}"), table)
}

fn load(results: &Results) -> Element {
    let head = head(&[
        ("arm", ""),
        ("traffic", ""),
        ("offered", "Mpps"),
        ("arrived", "Mpps"),
        ("lost", ""),
        ("consumer", "of one CPU"),
    ]);
    let rows = results.load.iter().map(|point| {
        let cells = [
            figures::mpps(point.offered_mpps),
            figures::mpps(point.mpps),
            figures::percent(point.lost_share),
            figures::percent(point.consumer_cpu),
        ];
        element("tr")
            .with(element("th").set("scope", "row").text(&point.arm))
            .with(element("td").class("words").text(&point.traffic))
            .with_all(cells.into_iter().map(|cell| element("td").text(cell)))
    });
    scroll("Figures at given rates", element("table").with(head).with(element("tbody").with_all(rows)))
}
