//! Which settings of `weir run` suit a host, from what its program cost there with each of them. No I/O.

use crate::results::{Machine, Recommendation, Variant};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use weir_probes::flows::{Clock, STRUCTURE};

/// A budget is as cheap as the cheapest if it costs at most this share more.
const AS_CHEAP: f64 = 0.05;
/// The fine clock costs next to nothing if it adds at most this share.
const NEXT_TO_NOTHING: f64 = 0.03;
/// Below this two figures are the same, whatever their shares: nanoseconds per packet.
const TOLD_APART: f64 = 1.0;
/// A full bucket now and then has a flow leave early: it costs nothing that can be told, and no packet is lost.
const HARDLY_ANY: f64 = 0.001;
/// How long flows are held in the kernel while memory budgets are tried: the default.
const INTERVAL: &str = "1s";

/// The settings that suit `machine`, from variants of the shipped program that were tried on it.
pub fn recommend(machine: &Machine, tried: Vec<Variant>) -> Recommendation {
    let mut settings = BTreeMap::from([("structure".to_string(), STRUCTURE.to_string())]);
    let Some(budget) = Budget::choose(&tried) else {
        let because = vec!["Nothing was tried, so the defaults stay.".to_string()];
        return Recommendation { settings, because, tried, cost_ns: 0.0 };
    };
    let (clock, why_clock) = choose_clock(&tried, budget.bytes);
    settings.insert("clock".into(), clock.name().into());
    settings.insert("memory_budget".into(), size(budget.bytes));
    settings.insert("interval".into(), INTERVAL.into());
    let why_interval =
        format!("interval {INTERVAL}: memory was tried with what a busy CPU sees in that time.");
    let because = vec![budget.why(&tried, machine), why_clock, why_interval];
    let cost_ns = cost(&tried, clock, budget.bytes).unwrap_or_default();
    Recommendation { settings, cost_ns, because, tried }
}

/// The file that `weir run --tuned` takes. `date`: when it was measured.
pub fn tuned_yaml(recommendation: &Recommendation, machine: &Machine, date: &str) -> String {
    let mut text = String::new();
    let mut comment = |line: &str| {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(text, "# {}", line.trim_end());
    };
    comment("Settings that suit this host, for `weir run --tuned FILE`. Made by `weir study --recommend`.");
    comment(&format!("Measured {date} on {}, {} CPUs, Linux {}.", machine.cpu, machine.cpus, machine.kernel));
    comment(&format!(
        "They cost {:.1} ns a packet under the heaviest traffic that was tried, in isolation.",
        recommendation.cost_ns
    ));
    recommendation.because.iter().for_each(|reason| comment(reason));
    // First what the others stand on.
    let (structure, others): (Vec<_>, Vec<_>) =
        recommendation.settings.iter().partition(|(key, _)| *key == "structure");
    for (key, value) in structure.into_iter().chain(others) {
        let _ = writeln!(text, "{key}: {value}");
    }
    text
}

/// A memory budget, and how the program did with it under every traffic, stamping by the tick.
#[derive(Debug, Clone, Copy)]
struct Budget {
    bytes: u64,
    /// Under the traffic that costs most: nanoseconds per packet.
    cost: f64,
    /// The worst of the traffics.
    lost: f64,
    spilled: f64,
}

impl Budget {
    /// The smallest that holds all flows and is as cheap as the cheapest that does; the one that loses and spills
    /// least where none does.
    fn choose(tried: &[Variant]) -> Option<Self> {
        let sizes: BTreeSet<u64> = tried.iter().map(|variant| variant.memory_budget).collect();
        let all: Vec<_> = sizes.into_iter().filter_map(|bytes| Self::of(tried, bytes)).collect();
        let holding = || all.iter().filter(|budget| budget.holds());
        let Some(cheapest) = holding().map(|budget| budget.cost).min_by(f64::total_cmp) else {
            let badness =
                |a: &Self, b: &Self| a.lost.total_cmp(&b.lost).then(a.spilled.total_cmp(&b.spilled));
            return all.into_iter().min_by(badness);
        };
        holding().find(|budget| is_near(budget.cost, cheapest, AS_CHEAP)).copied()
    }

    fn of(tried: &[Variant], bytes: u64) -> Option<Self> {
        let worst = |figure: fn(&Variant) -> f64| {
            with(tried, Clock::Tick, bytes).map(figure).max_by(f64::total_cmp).unwrap_or_default()
        };
        let cost = cost(tried, Clock::Tick, bytes)?;
        let (lost, spilled) = (worst(|variant| variant.lost_share), worst(|variant| variant.spilled_share));
        Some(Self { bytes, cost, lost, spilled })
    }

    fn holds(&self) -> bool {
        self.lost == 0.0 && self.spilled < HARDLY_ANY
    }

    fn why(&self, tried: &[Variant], machine: &Machine) -> String {
        let flows = with(tried, Clock::Tick, self.bytes).map(|variant| variant.flows_per_cpu).next();
        let place = format!(
            "memory_budget {}, {} flows on each of {} CPUs",
            size(self.bytes),
            flows.unwrap_or_default(),
            machine.cpus
        );
        if self.holds() {
            let rule =
                "the least that held the flows of every traffic and is as cheap as more, within 5 % or 1 ns";
            return format!("{place}: {rule}.");
        }
        let (spilled, lost) = (100.0 * self.spilled, 100.0 * self.lost);
        format!(
            "{place}: none that was tried held all flows; with this {spilled:.1} % of the packets left early and {lost:.1} % were lost."
        )
    }
}

/// The fine clock where it costs next to nothing under every traffic, and why or why not.
fn choose_clock(tried: &[Variant], bytes: u64) -> (Clock, String) {
    let pairs = with(tried, Clock::Tick, bytes).filter_map(|tick| {
        let fine = with(tried, Clock::Fine, bytes).find(|fine| fine.traffic == tick.traffic)?;
        Some((tick.isolated_ns, fine.isolated_ns))
    });
    let pairs: Vec<_> = pairs.collect();
    let Some(most) = pairs.iter().map(|(tick, fine)| fine - tick).max_by(f64::total_cmp) else {
        return (Clock::Tick, "clock tick: the fine clock was not tried.".into());
    };
    if pairs.iter().all(|(tick, fine)| is_near(*fine, *tick, NEXT_TO_NOTHING)) {
        let most = most.max(0.0);
        return (
            Clock::Fine,
            format!("clock fine: it adds {most:.1} ns a packet at most, within 3 % or 1 ns."),
        );
    }
    (
        Clock::Tick,
        format!("clock tick: the fine clock adds up to {most:.1} ns a packet, more than 3 % and 1 ns."),
    )
}

/// Under the traffic that costs most.
fn cost(tried: &[Variant], clock: Clock, bytes: u64) -> Option<f64> {
    with(tried, clock, bytes).map(|variant| variant.isolated_ns).max_by(f64::total_cmp)
}

fn with(tried: &[Variant], clock: Clock, bytes: u64) -> impl Iterator<Item = &Variant> {
    tried.iter().filter(move |variant| variant.clock == clock.name() && variant.memory_budget == bytes)
}

fn is_near(cost: f64, least: f64, share: f64) -> bool {
    cost - least <= (share * least).max(TOLD_APART)
}

/// As the configuration writes it.
fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{}MiB", bytes >> 20) } else { bytes.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(clock: &str, mib: u64, traffic: &str, isolated_ns: f64, spilled_share: f64) -> Variant {
        Variant {
            clock: clock.into(),
            memory_budget: mib << 20,
            flows_per_cpu: mib as u32 * 2_000,
            traffic: traffic.into(),
            isolated_ns,
            spilled_share,
            lost_share: if spilled_share > 0.5 { 0.1 } else { 0.0 },
        }
    }

    /// Both clocks, one flow and many: (MiB, one flow, many, the fine clock's, the share that spills).
    fn tried(budgets: &[(u64, f64, f64, f64, f64)]) -> Vec<Variant> {
        let of = |&(mib, one, many, fine, spilled): &(u64, f64, f64, f64, f64)| {
            [
                variant("tick", mib, "one", one, 0.0),
                variant("tick", mib, "many", many, spilled),
                variant("fine", mib, "one", one + fine, 0.0),
                variant("fine", mib, "many", many + fine, spilled),
            ]
        };
        budgets.iter().flat_map(of).collect()
    }

    fn chosen(budgets: &[(u64, f64, f64, f64, f64)]) -> (String, String, f64) {
        let found = recommend(&Machine::default(), tried(budgets));
        assert_eq!((&*found.settings["structure"], found.tried.len()), ("flow-hash", 4 * budgets.len()));
        assert_eq!(found.because.len(), 3);
        (found.settings["memory_budget"].clone(), found.settings["clock"].clone(), found.cost_ns)
    }

    #[test]
    fn the_least_memory_that_holds_all_flows_and_is_as_cheap_as_more() {
        let spilling = (8, 13.0, 60.0, 20.0, 0.8);
        let dear = (16, 13.0, 80.0, 20.0, 0.0);
        let cheap = (32, 13.0, 73.0, 20.0, 0.0009);
        let cheapest = (64, 13.0, 70.0, 20.0, 0.0);
        let all = [spilling, dear, cheap, cheapest];
        assert_eq!(chosen(&all), ("32MiB".into(), "tick".into(), 73.0));
        assert_eq!(chosen(&[spilling, dear]), ("16MiB".into(), "tick".into(), 80.0));
        // Whatever the order in which they were tried.
        let mut turned = all;
        turned.reverse();
        assert_eq!(chosen(&turned).0, "32MiB");
        // A nanosecond cannot be told, five per cent of nothing or not.
        assert_eq!(chosen(&[(8, 2.0, 8.0, 9.0, 0.0), (16, 2.0, 7.0, 9.0, 0.0)]).0, "8MiB");
        assert_eq!(chosen(&[(8, 2.0, 8.1, 9.0, 0.0), (16, 2.0, 7.0, 9.0, 0.0)]).0, "16MiB");
    }

    #[test]
    fn where_none_holds_the_one_that_loses_least_and_a_word_on_it() {
        let budgets = [(8, 13.0, 60.0, 20.0, 0.9), (16, 13.0, 80.0, 20.0, 0.4), (32, 13.0, 90.0, 20.0, 0.2)];
        assert_eq!(chosen(&budgets).0, "32MiB");
        let found = recommend(&Machine::default(), tried(&budgets));
        assert!(
            found.because[0].contains("none that was tried held all flows; with this 20.0 %"),
            "{found:?}"
        );
    }

    #[test]
    fn the_fine_clock_where_it_costs_next_to_nothing_under_every_traffic() {
        assert_eq!(chosen(&[(8, 13.0, 70.0, 1.0, 0.0)]), ("8MiB".into(), "fine".into(), 71.0));
        assert_eq!(chosen(&[(8, 13.0, 70.0, 1.1, 0.0)]).1, "tick", "it is 3 % of many, but not of one");
        assert_eq!(chosen(&[(8, 100.0, 100.0, 3.0, 0.0)]).1, "fine");
        assert_eq!(chosen(&[(8, 100.0, 100.0, 3.1, 0.0)]).1, "tick");
        let tick_only = vec![variant("tick", 8, "one", 9.0, 0.0)];
        assert_eq!(recommend(&Machine::default(), tick_only).settings["clock"], "tick");
    }

    #[test]
    fn nothing_tried_is_nothing_set() {
        let found = recommend(&Machine::default(), vec![]);
        assert_eq!(found.settings.len(), 1);
    }

    #[test]
    fn the_file_says_where_it_was_measured_and_why() {
        let machine = Machine { cpu: "A\nCPU".into(), cpus: 2, kernel: "6.18".into(), ..Machine::default() };
        let found = recommend(&machine, tried(&[(16, 13.0, 70.0, 20.0, 0.0)]));
        let text = tuned_yaml(&found, &machine, "2026-01-31");
        for words in
            ["2026-01-31 on A CPU, 2 CPUs, Linux 6.18.", "70.0 ns", "adds up to 20.0 ns", "32000 flows"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        let settings: Vec<_> = text.lines().filter(|line| !line.starts_with("# ")).collect();
        assert_eq!(settings, ["structure: flow-hash", "clock: tick", "interval: 1s", "memory_budget: 16MiB"]);
    }
}
