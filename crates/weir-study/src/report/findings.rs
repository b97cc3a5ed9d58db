//! What follows from the figures: the article's lessons, the recommendation; and what the machine is.

use super::markup::{Element, element};
use super::tables::{head, scroll};
use super::{figures, study};
use crate::results::{Lesson, Recommendation, Results, Variant};

/// What the article taught, held against this run; nothing where there are no lessons.
pub fn lessons(results: &Results) -> Option<Element> {
    let section = element("section")
        .set("id", "lessons")
        .with(element("h2").text("The article's lessons, held against this run"));
    let intro = "The article “Using eBPF for network observability in the cloud” (2022) compared such data structures with 40 \
                 sending cores on a 40 Gbit/s link. What it taught, and what the figures of this host say to that:";
    let section = section.with(element("p").text(intro));
    (!results.lessons.is_empty()).then(|| section.with_all(results.lessons.iter().map(lesson)))
}

fn lesson(lesson: &Lesson) -> Element {
    let (class, sign) = match lesson.verdict.as_str() {
        "confirmed" => ("lesson confirmed", "✓ "),
        "refuted" => ("lesson refuted", "✗ "),
        _ => ("lesson", "– "),
    };
    let verdict = element("span").class("verdict").text(format!("{sign}{}", lesson.verdict));
    let because = element("p").with(verdict).text(". ").prose(&lesson.because);
    let made = element("div").class(class).with(element("h3").prose(&lesson.claim)).with(because);
    if lesson.numbers.is_empty() {
        return made;
    }
    let numbers = lesson.numbers.iter().map(|(name, value)| format!("{name} {}", figures::ratio(*value)));
    made.with(element("p").class("note").text(numbers.collect::<Vec<_>>().join(" · ")))
}

/// What suits this host; nothing where nothing was tried.
pub fn recommendation(results: &Results) -> Option<Element> {
    let found = results.recommendation.as_ref()?;
    let section = element("section").set("id", "recommendation").with(element("h2").text("Recommended here"));
    let cost = format!(
        "With these settings the program of `weir run` costs {} ns per packet in isolation.",
        figures::ns(found.cost_ns)
    );
    let settings: String = found.settings.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let reasons = found.because.iter().map(|because| element("li").prose(because));
    let code = |text: &str| element("pre").with(element("code").text(text));
    let mut section = section.with(element("p").prose(&cost));
    if !found.settings.is_empty() {
        section = section.with(code(settings.trim_end()));
    }
    let section = section
        .with(element("p").prose("This takes them, from the file that `weir study --recommend` writes:"))
        .with(code("weir run --tuned tuned.yaml"));
    let section =
        if found.because.is_empty() { section } else { section.with(element("ul").with_all(reasons)) };
    Some(if found.tried.is_empty() { section } else { section.with(tried(found)) })
}

fn tried(found: &Recommendation) -> Element {
    let head = head(&[
        ("clock", ""),
        ("memory", "all maps"),
        ("flows", "per CPU"),
        ("traffic", ""),
        ("isolated_ns", "per packet"),
        ("spilled", ""),
        ("lost", ""),
    ]);
    let row = |variant: &Variant| {
        let cells = [
            figures::bytes(variant.memory_budget),
            figures::count(variant.flows_per_cpu.into()),
            variant.traffic.clone(),
            figures::ns(variant.isolated_ns),
            figures::percent(variant.spilled_share),
        ];
        let (class, sign) = if variant.lost_share > 0.0 { ("lost", "▲ ") } else { ("ok", "") };
        element("tr")
            .with(element("th").set("scope", "row").text(&variant.clock))
            .with_all(cells.into_iter().map(|cell| element("td").text(cell)))
            .with(element("td").class(class).text(format!("{sign}{}", figures::percent(variant.lost_share))))
    };
    let table = element("table").with(head).with(element("tbody").with_all(found.tried.iter().map(row)));
    let summary = element("summary").text("Everything that was tried");
    element("details").with(summary).with(scroll("Settings that were tried", table))
}

/// The machine, and what cannot be measured on it.
pub fn machine(results: &Results) -> Element {
    let machine = &results.machine;
    let cores: Vec<String> = machine
        .siblings
        .iter()
        .filter(|core| core.len() > 1)
        .map(|core| figures::and(&core.iter().map(u32::to_string).collect::<Vec<_>>()))
        .collect();
    let siblings = if cores.is_empty() { String::new() } else { format!("CPUs {}", cores.join("; ")) };
    let facts = [
        ("CPU", machine.cpu.clone()),
        ("CPUs used", figures::count(machine.cpus.into())),
        ("Threads of one core", siblings),
        ("Memory", figures::bytes(machine.memory)),
        ("Kernel", machine.kernel.clone()),
        ("Virtual machine", machine.hypervisor.clone().unwrap_or("no".into())),
        ("Frequency governor", machine.governor.clone().unwrap_or("none".into())),
        (
            "BPF programs",
            if machine.jit { "compiled to machine code (JIT)" } else { "interpreted (no JIT)" }.into(),
        ),
        ("Compiled by", machine.compiler.clone()),
        ("Link", results.config.link.clone()),
    ];
    let facts = facts
        .iter()
        .filter(|(_, fact)| !fact.is_empty())
        .fold(element("dl").class("facts"), |list, (name, fact)| {
            list.with(element("dt").text(name)).with(element("dd").text(fact))
        });
    let section =
        element("section").set("id", "machine").with(element("h2").text("The machine, and its limits"));
    let section = section.with(facts).with(element("h3").text("What cannot be measured here"));
    let section = match limits(results) {
        limits if limits.is_empty() => {
            section.with(element("p").text("Nothing that this study would have wanted to."))
        }
        limits => section.with(element("ul").with_all(limits.iter().map(|limit| element("li").prose(limit)))),
    };
    if machine.mitigations.is_empty() {
        return section;
    }
    let mitigations = machine.mitigations.iter().map(|one| element("li").text(one));
    let summary = element("summary").text("Mitigations of CPU flaws in force");
    section.with(element("details").with(summary).with(element("ul").with_all(mitigations)))
}

fn limits(results: &Results) -> Vec<String> {
    let skipped =
        study::arms(results).into_iter().filter_map(|arm| Some(format!("`{}`: {}", arm.name, arm.skipped?)));
    results.machine.limits.iter().cloned().chain(skipped).collect()
}
