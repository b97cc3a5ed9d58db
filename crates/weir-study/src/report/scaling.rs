//! How cost grows with flows, and throughput with CPUs: the laws that fit what was measured.

use super::figures::{self, MISSING, number};
use super::markup::{Element, element};
use super::tables::{head, scroll};
use crate::results::{FlowScaling, Results, Scaling, WEIR};
use std::collections::BTreeMap;

/// Nothing where neither was measured.
pub fn section(results: &Results) -> Option<Element> {
    let parts: Vec<Element> = [by_flows(results), by_cpus(results)].into_iter().flatten().flatten().collect();
    let section = element("section").set("id", "scaling").with(element("h2").text("How it scales"));
    (!parts.is_empty()).then(|| section.with_all(parts))
}

fn by_flows(results: &Results) -> Option<Vec<Element>> {
    let fitted: Vec<&FlowScaling> = results.flow_scaling.iter().filter(|one| one.fit.is_some()).collect();
    let about = "A flow whose entry is in the CPU's caches costs the same however many there are; beyond what they \
                 hold, each doubling costs more. The law is `cost = base + slope · max(0, log2(flows ÷ knee))`, \
                 fitted to the traffics that differ in their number of flows only.";
    let columns = [
        ("arm", ""),
        ("base", "ns per packet"),
        ("knee", "flows"),
        ("slope", "ns per doubling"),
        ("miss", "at most"),
    ];
    let rows = fitted.iter().filter_map(|one| {
        let fit = one.fit?;
        let rises = fit.per_doubling_ns > 0.0;
        let knee = if rises { figures::count(fit.knee.round() as u64) } else { MISSING.into() };
        let slope = if rises { figures::ns(fit.per_doubling_ns) } else { "0".into() };
        Some(row(
            &one.arm,
            [figures::ns(fit.base_ns), knee, slope, format!("{} %", number(one.miss * 100.0, 0))],
        ))
    });
    let table = element("table").with(head(&columns)).with(element("tbody").with_all(rows));
    (!fitted.is_empty()).then(|| {
        let head = element("h3").text("Cost against the number of flows");
        let mut parts = vec![head, element("p").prose(about), scroll("Cost against flows", table)];
        parts.extend(trust(fitted.iter().map(|one| (one.arm.as_str(), one.note.as_str()))));
        parts
    })
}

fn by_cpus(results: &Results) -> Option<Vec<Element>> {
    let fitted: Vec<&Scaling> = results.scaling.iter().filter(|one| one.fit.is_some()).collect();
    let about = "The universal scalability law, `X(n) = λ·n ÷ (1 + σ·(n − 1) + κ·n·(n − 1))`: what n senders do \
                 together, in million packets per second. A packet costs `n ÷ X(n)` of CPU time; σ is the share that \
                 waits for others, κ what keeping in step costs.";
    let columns = [
        ("arm", "traffic"),
        ("λ", "Mpps of one"),
        ("σ", "contention"),
        ("κ", "coherence"),
        ("peak", "senders"),
    ];
    let rows = fitted.iter().filter_map(|one| {
        let fit = one.fit?;
        let peak = fit.peak().map_or(MISSING.into(), |peak| number(peak, 0));
        let cells = [figures::mpps(fit.lambda), number(fit.sigma, 4), number(fit.kappa, 4), peak];
        Some(row(&format!("{} under {}", one.arm, one.traffic), cells))
    });
    let table = element("table").with(head(&columns)).with(element("tbody").with_all(rows));
    (!fitted.is_empty()).then(|| {
        let head = element("h3").text("Throughput against the number of CPUs");
        let note = "How far each is to be trusted is said below the chart.";
        vec![
            head,
            element("p").prose(about),
            scroll("Throughput against CPUs", table),
            element("p").class("note").text(note),
        ]
    })
}

/// What is said of each fit, once, with those it is said of.
fn trust<'a>(notes: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Element> {
    let mut by_note: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (arm, note) in notes {
        by_note.entry(note).or_default().push(format!("`{arm}`"));
    }
    let said = |(note, arms): (&str, Vec<String>)| {
        element("p").class("note").prose(&format!("{}: {note}", figures::and(&arms)))
    };
    by_note.into_iter().map(said).collect()
}

fn row<const CELLS: usize>(name: &str, cells: [String; CELLS]) -> Element {
    let whose = if name.split(' ').next() == Some(WEIR) { "ours" } else { "other" };
    element("tr")
        .class(whose)
        .with(element("th").set("scope", "row").text(name))
        .with_all(cells.into_iter().map(|cell| element("td").text(cell)))
}
