//! What the page explains: the question, what the arms do, and how it was measured.

use super::markup::{Element, element};
use super::{figures, study};
use crate::results::{NONE, Results};

fn paragraph(text: &str) -> Element {
    element("p").prose(text)
}

/// The question, and what one has to know to understand the answer.
pub fn question() -> Element {
    element("section")
        .set("id", "question")
        .with(element("h2").text("The question"))
        .with(paragraph(
            "To know what a network is doing, somebody has to look at every packet: who sends to whom, how much, since \
             when. Linux lets small programs do that inside the kernel, right where packets pass. This is called eBPF: the \
             kernel checks that a program is safe, and runs it for each packet.",
        ))
        .with(paragraph(
            "Such a program has well under a microsecond for a packet on a busy link, and must leave what it has seen in \
             some place from which an ordinary process, the consumer, can read it. Packets with the same addresses, ports \
             and protocol are a flow. A program may count packets by flow and leave one record per flow, or pass on a \
             record per packet. There are many data structures for both. The wrong one slows the network that it watches, \
             or loses what it should have seen.",
        ))
        .with(paragraph(
            "This study has tried them on this host, with packets of which it knows how many there were. Each way to watch \
             is called an arm.",
        ))
}

/// What each kind of arm does, and which arms are of that kind.
pub fn arms(results: &Results) -> Element {
    let kinds = [
        (
            "baseline",
            "Baselines",
            "Nobody watches, or a program that does nothing: what all others are compared with.",
        ),
        ("postcards", "Postcards", "A record per packet goes to the consumer, which does all the counting."),
        (
            "aggregate",
            "Aggregates",
            "The program counts in the kernel; the consumer reads a record per flow at intervals.",
        ),
        ("program", "Other tools", "Programs as they are installed, with eBPF or without."),
    ];
    let all = study::arms(results);
    let is_known = |kind: &str| kinds.iter().any(|known| known.0 == kind);
    let of = |kind: &str| -> Vec<Element> {
        let here = all.iter().filter(|arm| arm.kind == kind || kind.is_empty() && !is_known(&arm.kind));
        here.map(|arm| {
            let why = arm.skipped.as_ref().map_or(String::new(), |why| format!(" Not measured: {why}."));
            let about = if arm.about.is_empty() { String::new() } else { format!(": {}.", arm.about) };
            element("li").with(element("code").text(&arm.name)).text(format!("{about}{why}"))
        })
        .collect()
    };
    let others = [("", "Others", "")];
    let list = kinds.into_iter().chain(others).fold(element("dl"), |list, (kind, name, what)| {
        let arms = of(kind);
        if arms.is_empty() {
            return list;
        }
        let what = element("dd").text(what).with(element("ul").class("arms").with_all(arms));
        list.with(element("dt").text(name)).with(what)
    });
    element("section").set("id", "arms").with(element("h2").text("The arms")).with(list)
}

/// How it was measured, and what the columns mean.
pub fn method(results: &Results) -> Element {
    let config = &results.config;
    let seconds = |value: f64| format!("{} s", figures::number(value, if value < 9.95 { 1 } else { 0 }));
    let senders =
        if config.senders == 1 { "one thread".into() } else { format!("{} threads", config.senders) };
    let link = match config.link.as_str() {
        "" | "veth" => "into a network namespace of its own".to_string(),
        interface => format!("over the interface {interface}"),
    };
    let items = [
        ("Traffic and sink", format!("{senders}, each on a CPU of its own, sent as fast as they could {link}. A sink at the \
            far end counted what arrived, behind whoever watched.")),
        ("One schedule", "All senders walk through the same list of flows, each packet stamped with its sender and its \
            number. So it is known, not estimated, how many packets of which flow were sent, and what an arm should have \
            reported.".into()),
        ("Interleaved rounds", format!("{} rounds of effort “{}”. In each of them every arm was measured once under each \
            traffic, for {} at a time (other tools, which take seconds to start and to end, in the first four only); so \
            whatever else the machine did has met all arms alike.", config.rounds, config.effort,
            seconds(config.slice))),
        ("Ratios within one round", format!("An arm is compared with `{NONE}` in the same round, which comes again after every five arms, never with another time. The \
            figure shown is the median of the rounds, the interval a 95 % bootstrap interval of that median: where two \
            intervals overlap, do not bet on the difference.")),
        ("Consumers run", format!("Every arm has a consumer that takes in what its program leaves, every {} where it reads at \
            intervals and at the end of each time, and keeps a flow table of it. What that costs counts.", seconds(config.interval))),
        ("cost_ns", format!("All that watching costs: how much longer a packet took on the sending CPU, and the consumer's CPU time per packet. Of our own \
            programs every other window of 1024 packets was hidden, and each window that they saw is held against the hidden one after it, at moments \
            when the machine was quick (“machine slow”: there were too few of those); of other tools, in a quick study, and where that is not possible, whole rounds are held against `{NONE}` in the same round.")),
        ("added_ns", "The program's own time per packet by the kernel's statistics, less that of an empty program.".into()),
        ("isolated_ns", "The same in isolation: the program run over and over on packets in memory (BPF_PROG_TEST_RUN), less \
            an empty program.".into()),
        ("Flows, packets", "What the arm has told, divided by the flows that were sent and the packets that passed it. 100 % means exactly all.".into()),
        ("Lost", "Packets that passed the observation point and that the arm did not report, in all rounds, by cause: \
            “unexplained” is what the arm itself has not counted.".into()),
        ("Consumer", "CPU time of the consumer, divided by time: 100 % is a whole CPU.".into()),
    ];
    let list = items.iter().fold(element("dl"), |list, (name, text)| {
        list.with(element("dt").text(name)).with(element("dd").prose(text))
    });
    element("section").set("id", "method").with(element("h2").text("How it was measured")).with(list)
}
