//! The answer: in a sentence, in three figures, and traffic by traffic.

use super::markup::{Element, element};
use super::tables::{head, scroll};
use super::{figures, study};
use crate::results::{CHEAPER, Measured, Results, TrafficInfo, WEIR, dominated};

/// What the answer is made of.
struct Answer<'a> {
    traffic: TrafficInfo,
    ours: Option<&'a Measured>,
    best: Option<&'a Measured>,
    worst: Option<&'a Measured>,
    lossy: Vec<String>,
    watching: usize,
}

impl<'a> Answer<'a> {
    fn of(results: &'a Results) -> Option<Self> {
        let traffic = study::many_flows(results)?;
        let here: Vec<&Measured> = results.results.iter().filter(|one| one.traffic == traffic.name).collect();
        let others = study::others(results, &traffic.name);
        let best = study::best_alternative(results, &traffic.name);
        let others = others.into_iter().filter(|one| best.is_none_or(|best| best.arm != one.arm));
        let worst = others.max_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns));
        let ours = here.into_iter().find(|one| one.arm == WEIR && one.cost_ns.is_finite());
        let watching: Vec<String> = study::arms(results)
            .into_iter()
            .map(|arm| arm.name)
            .filter(|arm| study::is_watching(arm) && results.results.iter().any(|one| one.arm == *arm))
            .collect();
        let has_lost =
            |arm: &&String| results.results.iter().any(|one| one.arm == **arm && study::has_lost(one));
        let lossy = watching.iter().filter(has_lost).cloned().collect();
        Some(Self { traffic, ours, best, worst, lossy, watching: watching.len() })
    }

    fn sentence(&self) -> String {
        let flows = study::flows(&self.traffic);
        let costs = |one: &Measured| format!("`{}` at {}{}", one.arm, cost(one), beside(self.ours, one));
        let ours = match self.ours {
            Some(ours) => format!("On this host, watching {flows} with `{WEIR}` costs {}", cost(ours)),
            None => format!("On this host, `{WEIR}` was not measured with {flows}"),
        };
        let best = match self.best {
            Some(best) => {
                format!("the cheapest other way that reports every packet of every flow is {}", costs(best))
            }
            None => "no other way reported every packet of every flow".into(),
        };
        let worst = self.worst.map_or(String::new(), |worst| {
            let is_costliest = self.best.is_none_or(|best| best.cost_ns <= worst.cost_ns);
            format!(", {} is {}", if is_costliest { "the costliest" } else { "another" }, costs(worst))
        });
        format!("{ours}; {best}{worst}; {}.", self.losses())
    }

    fn losses(&self) -> String {
        let names: Vec<String> = self.lossy.iter().map(|arm| format!("`{arm}`")).collect();
        match (self.lossy.len(), self.watching) {
            (0, 0) => "nothing that watches was measured".into(),
            (0, watching) => format!("none of {watching} arms lost a packet"),
            (lossy, watching) => {
                let names = figures::and(&names);
                format!("{lossy} of {watching} arms lost packets under some traffic: {names}")
            }
        }
    }
}

/// `62 ns per packet`.
fn cost(measured: &Measured) -> String {
    let slow = if measured.disturbed { " on a machine that was slow then" } else { "" };
    format!("{} ns per packet{slow}", figures::ns(measured.cost_ns))
}

/// How its cost compares with ours, where that can be said.
fn beside(ours: Option<&Measured>, other: &Measured) -> String {
    let ours = ours.filter(|ours| ours.is_comparable_with(other)).map(|ours| ours.cost_ns);
    let ours = ours.filter(|&ours| ours > 0.0 && other.cost_ns > 0.0);
    ours.map_or(String::new(), |ours| format!(" ({} times that)", figures::times(other.cost_ns / ours)))
}

/// The answer for this host in one sentence, with backticks around names.
pub fn sentence(results: &Results) -> String {
    Answer::of(results).map_or("Nothing was measured.".into(), |answer| answer.sentence())
}

/// The section.
pub fn section(results: &Results) -> Element {
    let section = element("section").set("id", "answer").with(element("h2").text("The answer for this host"));
    let section = section.with(element("p").class("answer").prose(&sentence(results)));
    let Some(answer) = Answer::of(results) else { return section };
    let kinds = [
        (answer.ours, "tile ours", "What Weir ships"),
        (answer.best, "tile", "Cheapest other that missed nothing"),
        (answer.worst, "tile", "Costliest other"),
    ];
    let tiles = kinds.into_iter().filter_map(|(one, class, what)| Some(tile(one?, class, what)));
    section.with(element("div").class("tiles").with_all(tiles)).with_all(by_traffic(results))
}

fn tile(measured: &Measured, class: &str, what: &str) -> Element {
    let line = |class: &str| element("p").class(class);
    let lost = if study::has_lost(measured) {
        format!("; lost {}", figures::or_missing(study::lost_share(measured), figures::percent))
    } else {
        String::new()
    };
    let figure =
        line("figure").text(figures::ns(measured.cost_ns)).with(element("small").text(" ns per packet"));
    let more = format!("{} of the throughput of `none`{lost}", figures::ratio(measured.ratio));
    element("div")
        .class(class)
        .with(line("what").text(what))
        .with(line("arm").text(&measured.arm))
        .with(figure)
        .with(line("more").prose(&more))
}

/// Ours beside the cheapest other that missed nothing, in every traffic.
fn by_traffic(results: &Results) -> Vec<Element> {
    let traffics = study::traffics(results);
    let ours = |traffic: &str| results.of(WEIR, traffic).filter(|one| one.cost_ns.is_finite());
    let rows: Vec<(TrafficInfo, &Measured, Option<&Measured>)> = traffics
        .into_iter()
        .filter_map(|traffic| {
            let ours = ours(&traffic.name)?;
            let best = study::best_alternative(results, &traffic.name);
            Some((traffic, ours, best))
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let cheaper = |ours: &Measured, best: &Measured| best.cost_ns < ours.cost_ns * CHEAPER;
    let beaten: Vec<String> = rows
        .iter()
        .filter(|(_, ours, best)| best.is_some_and(|best| cheaper(ours, best)))
        .map(|(traffic, _, best)| format!("`{}` (`{}`)", traffic.name, best.map_or("", |best| &best.arm)))
        .collect();
    let beyond_noise: Vec<String> =
        dominated(results).iter().map(|one| format!("`{}` (`{}`)", one.traffic, one.arm)).collect();
    let beyond_noise = match beyond_noise.len() {
        0 if beaten.is_empty() => "",
        0 => " Nowhere is that beyond the noise of the rounds, where the machine was quick for both.",
        _ => &format!(" Beyond the noise of the rounds: {}.", figures::and(&beyond_noise)),
    };
    let verdict = match beaten.len() {
        0 => format!(
            "In none of {} traffics was another arm that missed nothing more than {} cheaper per packet than `{WEIR}`.",
            rows.len(),
            figures::percent(1.0 - CHEAPER).replace(".0", "")
        ),
        n => format!(
            "In {n} of {} traffics another arm that missed nothing was more than {} cheaper per packet than `{WEIR}`: {}.",
            rows.len(),
            figures::percent(1.0 - CHEAPER).replace(".0", ""),
            figures::and(&beaten)
        ),
    };
    let head = head(&[
        ("traffic", ""),
        (WEIR, "ns per packet"),
        ("cheapest other", "that missed nothing"),
        ("its cost", "ns per packet"),
        ("its cost ÷ ours", ""),
    ]);
    let is_slow =
        |(_, ours, best): &(_, &Measured, Option<&Measured>)| !ours.is_comparable_with(best.unwrap_or(ours));
    let slow = if rows.iter().any(is_slow) { " `~`: the machine was slow too often to compare." } else { "" };
    let body =
        element("tbody").with_all(rows.iter().map(|(traffic, ours, best)| row(&traffic.name, ours, *best)));
    let table = element("table").with(head).with(body);
    vec![
        element("h3").text("Traffic by traffic"),
        element("p").prose(&(verdict + beyond_noise + slow)),
        scroll("Cost by traffic, beside the cheapest other arm", table),
    ]
}

fn row(traffic: &str, ours: &Measured, best: Option<&Measured>) -> Element {
    let cell = |text: String| element("td").text(text);
    let ratio = best.map(|best| best.cost_ns / ours.cost_ns).filter(|ratio| *ratio > 0.0);
    let lost = if study::has_lost(ours) { " ▲ lost packets" } else { "" };
    let cost =
        |one: &Measured| format!("{}{}", if one.disturbed { "~" } else { "" }, figures::ns(one.cost_ns));
    element("tr")
        .with(element("th").set("scope", "row").text(traffic))
        .with(cell(format!("{}{lost}", cost(ours))))
        .with(cell(best.map_or("none".into(), |best| best.arm.clone())))
        .with(cell(best.map_or(figures::MISSING.into(), cost)))
        .with(cell(figures::or_missing(ratio, figures::times)))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_sentence_follows_the_figures() {
        let mut results = fixture::plausible();
        let before = sentence(&results);
        let cost_of =
            |results: &Results, arm| results.of(arm, "40-flows").map(|one| figures::ns(one.cost_ns));
        for arm in [WEIR, "percpu-hash"] {
            assert!(before.contains(&cost_of(&results, arm).unwrap()), "{before}");
        }
        for one in results.results.iter_mut().filter(|one| one.arm == WEIR && one.traffic == "40-flows") {
            one.cost_ns = 777.0;
        }
        assert!(sentence(&results).contains("costs 777 ns per packet"), "{}", sentence(&results));
        results.results.retain(|one| one.arm != WEIR);
        assert!(sentence(&results).contains("`weir` was not measured"), "{}", sentence(&results));
    }

    #[test]
    fn losses_are_named() {
        let mut results = fixture::plausible();
        assert!(
            sentence(&results).contains("arms lost packets under some traffic: `ringbuf`"),
            "{}",
            sentence(&results)
        );
        for one in &mut results.results {
            one.lost = 0;
            one.accuracy_packets = Some(1.0);
        }
        assert!(sentence(&results).contains("arms lost a packet"), "{}", sentence(&results));
    }

    #[test]
    fn a_cheaper_alternative_is_not_concealed() {
        let mut results = fixture::plausible();
        assert!(section(&results).to_string().contains("In none of 8 traffics"));
        for one in results.results.iter_mut().filter(|one| one.arm == "percpu-hash" && one.traffic == "zipf")
        {
            one.cost_ns = 1.0;
        }
        let page = section(&results).to_string();
        assert!(page.contains("In 1 of 8 traffics"));
        assert!(page.contains("<code>zipf</code> (<code>percpu-hash</code>)"));
    }
}
