//! The page, from its head to its foot.

use super::chart::{self, Chart, Layout};
use super::markup::{Element, element};
use super::{answer, explain, figures, findings, scaling, tables};
use crate::results::Results;

const QUESTION: &str = "Which data structure should watch the network?";

/// The whole page.
pub fn page(results: &Results) -> Element {
    let head = element("head")
        .with(element("meta").set("charset", "utf-8"))
        .with(element("meta").set("name", "viewport").set("content", "width=device-width, initial-scale=1"))
        .with(element("meta").set("name", "color-scheme").set("content", "light dark"))
        .with(element("title").text(format!("{QUESTION} weir study on {}", results.machine.cpu)))
        .with(
            element("style").sheet(chart::PALETTE).sheet(chart::STYLE).sheet(include_str!("style/page.css")),
        );
    let sections = [
        Some(explain::question()),
        Some(answer::section(results)),
        Some(explain::arms(results)),
        Some(charts(results)),
        scaling::section(results),
        findings::lessons(results),
        findings::recommendation(results),
        Some(tables::section(results)),
        Some(explain::method(results)),
        Some(findings::machine(results)),
        Some(tables::raw(results)),
    ];
    let body = element("body")
        .with(header(results))
        .with(element("main").with_all(sections.into_iter().flatten()))
        .with(
            element("footer")
                .prose(&format!("Made by `weir study` of Weir {} from `results.json`.", results.weir)),
        );
    element("html").set("lang", "en").with(head).with(body)
}

fn header(results: &Results) -> Element {
    let header = element("header")
        .with(element("h1").text(QUESTION))
        .with(element("p").class("soft").text(where_and_when(results)));
    let header = match &results.partial {
        None => header,
        Some(why) => header.with(
            element("p")
                .class("partial")
                .set("role", "note")
                .with(element("b").text("▲ This study is not complete: "))
                .text(why)
                .text(". The page shows what had been measured by then."),
        ),
    };
    let links = [
        ("#question", "Question", true),
        ("#answer", "Answer", true),
        ("#arms", "Arms", true),
        ("#charts", "Charts", true),
        ("#scaling", "Scaling", scaling::section(results).is_some()),
        ("#lessons", "Lessons", !results.lessons.is_empty()),
        ("#recommendation", "Recommended", results.recommendation.is_some()),
        ("#figures", "All figures", true),
        ("#method", "Method", true),
        ("#machine", "Machine", true),
        ("#raw", "Raw figures", true),
    ];
    let links = links.into_iter().filter(|link| link.2);
    header.with(
        element("nav")
            .set("aria-label", "Sections")
            .with_all(links.map(|(target, name, _)| element("a").set("href", target).text(name))),
    )
}

fn where_and_when(results: &Results) -> String {
    let machine = &results.machine;
    let cpus = if machine.cpus == 1 { "1 CPU".into() } else { format!("{} CPUs", machine.cpus) };
    let parts = [
        machine.cpu.clone(),
        cpus,
        format!("Linux {}", machine.kernel),
        machine.hypervisor.as_ref().map_or(String::new(), |name| format!("virtual machine ({name})")),
        results.started.replace('T', " ").replace('Z', " UTC"),
        format!("measured for {}", figures::duration(results.seconds)),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn charts(results: &Results) -> Element {
    let charts = chart::all(results);
    let section = element("section").set("id", "charts").with(element("h2").text("Charts"));
    if charts.is_empty() {
        return section.with(element("p").text("Nothing was measured that could be drawn."));
    }
    section.with_all(charts.iter().map(figure))
}

/// A chart for wide screens and one for narrow ones; the page shows one of them.
fn figure(chart: &Chart) -> Element {
    let layout = |class: &str, layout| element("div").class(class).with(chart.inline(layout));
    let notes = chart.notes.iter().map(|note| element("p").prose(note));
    element("figure")
        .with(element("h3").text(&chart.title))
        .with(layout("wide", Layout::Wide))
        .with(layout("narrow", Layout::Narrow))
        .with(element("figcaption").with_all(notes))
}
