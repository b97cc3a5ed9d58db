//! Results as a study might find them, for the tests of the page.

use crate::results::*;
use std::collections::BTreeMap;

/// Name, kind, nanoseconds per packet at one flow, the same at 100 000 flows, share lost at full rate, what it does.
const ARMS: [(&str, &str, f64, f64, f64, &str); 18] = [
    (NONE, "baseline", 0.0, 0.0, 0.0, "no program"),
    (EMPTY, "baseline", 14.0, 14.0, 0.0, "a program that returns at once"),
    ("ringbuf", "postcards", 390.0, 392.0, 0.213, "records in a ring, read when there are many"),
    ("ringbuf-wakeup", "postcards", 1730.0, 1741.0, 0.374, "records in a ring, a wake-up for each"),
    ("perfbuf", "postcards", 512.0, 514.0, 0.141, "records in a buffer per CPU"),
    ("array", "aggregate", 74.0, 118.0, 0.0, "an array, with atomic counters"),
    ("percpu-array", "aggregate", 68.0, 104.0, 0.0, "an array per CPU"),
    ("hash", "aggregate", 131.0, 324.0, 0.0, "a hash, with atomic counters"),
    ("hash-spinlock", "aggregate", 158.0, 371.0, 0.0, "a hash, with a spin lock per entry"),
    ("percpu-hash", "aggregate", 118.0, 305.0, 0.0, "a hash with a value per CPU, in place"),
    ("hash-published", "aggregate", 243.0, 480.0, 0.0021, "as the article had it: a redundant update"),
    (
        "percpu-hash-published",
        "aggregate",
        236.0,
        467.0,
        0.000_000_4,
        "as the article had it: a redundant update",
    ),
    ("lru-hash", "aggregate", 142.0, 590.0, 0.0, "a hash that forgets the oldest"),
    ("lru-percpu-hash", "aggregate", 139.0, 571.0, 0.0, "the same with a value per CPU"),
    ("hash-per-cpu", "aggregate", 124.0, 298.0, 0.0, "plain hashes, one for each CPU"),
    (WEIR, "aggregate", 61.0, 97.0, 0.0, "the program of weir run"),
    ("af-packet", "program", 820.0, 824.0, 0.462, "a packet socket with a ring (TPACKET_V3)"),
    ("tcpdump", "program", 1210.0, 1215.0, 0.613, "tcpdump, writing to /dev/null"),
];

const TRAFFICS: [(&str, u32, &str); 8] = [
    ("1-flow", 1, "one flow"),
    ("40-flows", 40, "40 flows in turn"),
    ("1000-flows", 1_000, "1 000 flows at random"),
    ("30000-flows", 30_000, "30 000 flows at random"),
    ("100000-flows", 100_000, "100 000 flows at random"),
    ("zipf", 10_000, "few flows with most of the packets"),
    ("bursts", 1_000, "bursts of 8 packets per flow"),
    ("ipv6", 1_000, "IPv6, 1 000 flows at random"),
];

const NATIVE_NS: f64 = 690.0;
const ROUNDS: usize = 7;

/// 18 arms under 8 traffics, some of them lossy.
pub fn plausible() -> Results {
    let mut noise = Noise(7);
    let mut measured = Vec::new();
    for (traffic, flows, _) in TRAFFICS {
        for arm in ARMS {
            measured.push(measure(arm, traffic, flows, &mut noise));
        }
    }
    let mut arms: Vec<ArmInfo> = ARMS.iter().map(|arm| info(arm.0, arm.1, arm.5, None)).collect();
    arms.push(info(
        "arena",
        "aggregate",
        "an array that both sides map",
        Some("the kernel has no arenas (6.9)"),
    ));
    arms.push(info("softflowd", "program", "softflowd", Some("softflowd is not installed")));
    let traffics = TRAFFICS.map(|(name, flows, about)| traffic(name, flows, about)).to_vec();
    let mut results = Results {
        format: FORMAT,
        weir: "0.1.0".into(),
        started: "2025-11-23T00:29:12Z".into(),
        seconds: 754.0,
        partial: None,
        machine: machine(),
        config: Config {
            effort: "standard".into(),
            rounds: ROUNDS as u32,
            slice: 0.5,
            interval: 1.0,
            senders: 1,
            link: "veth".into(),
            arms,
            traffics,
        },
        results: measured,
        load: load(),
        scaling: scaling(),
        lessons: lessons(),
        recommendation: Some(recommendation()),
        flow_scaling: Vec::new(),
    };
    results.flow_scaling = flow_scaling(&results);
    results
}

/// As many as there can be: 22 arms under 14 traffics.
pub fn greatest() -> Results {
    let mut results = plausible();
    let mut noise = Noise(11);
    for n in 0..6 {
        let name: &'static str = ["a", "very-long-flows-of-elephants", "c", "d", "e", "f"][n];
        results.config.traffics.push(traffic(name, 77, "more of the same"));
        let more: Vec<Measured> = ARMS.iter().map(|&arm| measure(arm, name, 77, &mut noise)).collect();
        results.results.extend(more);
    }
    for name in ["arena-with-a-name-beyond-all-measure", "pmacct"] {
        results.config.arms.push(info(name, "program", "one more", None));
        for one in &results.config.traffics {
            let arm = (name, "program", 333.0, 350.0, 0.01, "");
            results
                .results
                .push(Measured { arm: name.into(), ..measure(arm, &one.name, one.flows, &mut noise) });
        }
    }
    results
}

/// Nothing at all.
pub fn nothing() -> Results {
    Results {
        partial: Some("interrupted".into()),
        machine: Machine::default(),
        config: Config::default(),
        results: Vec::new(),
        load: Vec::new(),
        scaling: Vec::new(),
        flow_scaling: Vec::new(),
        lessons: Vec::new(),
        recommendation: None,
        ..plausible()
    }
}

/// Numbers between −1 and 1, always the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}

fn info(name: &str, kind: &str, about: &str, skipped: Option<&str>) -> ArmInfo {
    ArmInfo { name: name.into(), kind: kind.into(), about: about.into(), skipped: skipped.map(String::from) }
}

fn traffic(name: &str, flows: u32, about: &str) -> TrafficInfo {
    TrafficInfo { name: name.into(), about: about.into(), flows, generator: "xdp".into(), bytes: 64.0 }
}

fn measure(
    (arm, kind, one, many, loss, _): (&str, &str, f64, f64, f64, &str),
    traffic: &str,
    flows: u32,
    noise: &mut Noise,
) -> Measured {
    let share = f64::from(flows.max(1)).log10() / 5.0;
    let cost = one + (many - one) * share * share;
    let native: Vec<f64> = (0..ROUNDS).map(|_| NATIVE_NS * (1.0 + 0.03 * noise.next())).collect();
    let slower: Vec<f64> =
        (0..ROUNDS).map(|_| if arm == NONE { 0.0 } else { cost * 0.9 + 9.0 * noise.next() }).collect();
    let mpps: Vec<f64> = native.iter().zip(&slower).map(|(native, slower)| 1e3 / (native + slower)).collect();
    let ratios: Vec<f64> =
        native.iter().zip(&slower).map(|(native, slower)| native / (native + slower)).collect();
    let sorted = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let (rates, sorted_ratios, sorted_slower) = (sorted(&mpps), sorted(&ratios), sorted(&slower));
    let sent = (rates[ROUNDS / 2] * 3.5e6) as u64;
    let lost = (sent as f64 * loss) as u64;
    let is_baseline = kind == "baseline";
    let tells_flows = !is_baseline && !arm.ends_with("array");
    let causes = [("ring full", lost - lost / 10), ("unexplained", lost / 10)];
    Measured {
        arm: arm.into(),
        traffic: traffic.into(),
        mpps: rates[ROUNDS / 2],
        mpps_low: rates[0],
        mpps_high: rates[ROUNDS - 1],
        ratio: sorted_ratios[ROUNDS / 2],
        ratio_low: sorted_ratios[1],
        ratio_high: sorted_ratios[ROUNDS - 2],
        slower_ns: sorted_slower[ROUNDS / 2],
        disturbed: false,
        cost_ns: if arm == NONE { 0.0 } else { sorted_slower[ROUNDS / 2] + cost * 0.1 },
        added_ns: (!is_baseline && kind != "program").then_some(cost * 0.8),
        isolated_ns: (!is_baseline && kind != "program").then_some(cost * 0.4),
        accuracy_flows: tells_flows.then_some(if loss > 0.1 && flows > 1000 {
            1.0 - loss / 9.0
        } else {
            1.0
        }),
        accuracy_packets: (!is_baseline)
            .then(|| if lost > 0 { 1.0 - lost as f64 / sent as f64 } else { 1.0 }),
        sent,
        received: sent,
        lost,
        lost_by_cause: causes
            .into_iter()
            .filter(|_| lost > 0)
            .map(|(name, n)| (name.to_string(), n))
            .collect(),
        consumer_cpu: match kind {
            "postcards" | "program" => 0.93 + 0.05 * noise.next(),
            "aggregate" => 0.012 + cost * 0.000_06,
            _ => 0.0,
        },
        map_bytes: match kind {
            "aggregate" if arm.starts_with("percpu") => 96 << 20,
            "aggregate" => 64 << 20,
            "postcards" => 16 << 20,
            _ => 0,
        },
        mpps_rounds: mpps,
        ratio_rounds: ratios,
        slower_ns_rounds: slower,
    }
}

fn load() -> Vec<LoadPoint> {
    let rates = [0.1, 0.25, 0.5, 0.75, 1.0, 1.25];
    let points = ARMS.iter().filter(|arm| arm.1 != "baseline").flat_map(|&(arm, kind, cost, _, loss, _)| {
        rates.map(|offered| {
            let per_packet = if kind == "aggregate" { 0.03 + cost * 0.000_2 } else { 0.6 + cost * 0.000_9 };
            let busy = (offered * per_packet).min(1.0);
            LoadPoint {
                arm: arm.into(),
                traffic: "40-flows".into(),
                offered_mpps: offered,
                mpps: offered.min(1e3 / (NATIVE_NS + cost)),
                lost_share: if busy > 0.6 { loss * (busy - 0.6) * 2.0 } else { 0.0 },
                consumer_cpu: busy,
            }
        })
    });
    points.collect()
}

fn scaling() -> Vec<Scaling> {
    let of = |arm: &str, lambda: f64, sigma: f64, kappa: f64| {
        let at = |n: u32| {
            let n = f64::from(n);
            lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
        };
        Scaling {
            arm: arm.into(),
            traffic: "40-flows".into(),
            points: [1, 2, 3, 4].map(|senders| ScalingPoint { senders, mpps: at(senders) }).to_vec(),
            fit: Some(Usl { lambda, sigma, kappa }),
            note: "fitted to 1 to 4 CPUs, so no more than a hint for more".into(),
        }
    };
    vec![
        of(NONE, 1.45, 0.02, 0.001),
        of(WEIR, 1.34, 0.02, 0.001),
        of("hash", 1.2, 0.31, 0.06),
        of("percpu-hash", 1.22, 0.03, 0.002),
        of("ringbuf", 0.9, 0.42, 0.09),
    ]
}

fn machine() -> Machine {
    Machine {
        cpu: "AMD EPYC 7763 64-Core Processor".into(),
        cpus: 2,
        siblings: vec![vec![0, 1]],
        memory: 8_322_000_000,
        kernel: "6.18.0-1-cloud-amd64".into(),
        mitigations: vec![
            "spectre_v2: Mitigation: Retpolines; IBPB: conditional".into(),
            "spec_store_bypass: Vulnerable".into(),
        ],
        hypervisor: Some("kvm".into()),
        governor: None,
        jit: true,
        compiler: "Debian clang version 19.1.7".into(),
        limits: vec![
            "Two CPUs are threads of one core: contention between cores cannot be measured.".into(),
            "With 2 CPUs one sends and one consumes: scaling beyond one sender is not measurable.".into(),
        ],
    }
}

fn lessons() -> Vec<Lesson> {
    let lesson = |claim: &str, verdict: &str, because: &str, numbers: &[(&str, f64)]| Lesson {
        claim: claim.into(),
        verdict: verdict.into(),
        because: because.into(),
        numbers: numbers.iter().map(|(name, value)| (name.to_string(), *value)).collect::<BTreeMap<_, _>>(),
    };
    vec![
        lesson(
            "Per-CPU maps are faster than shared ones.",
            "confirmed",
            "`percpu-hash` keeps 0.861 of the throughput, `hash` 0.843.",
            &[("percpu-hash", 0.861), ("hash", 0.843)],
        ),
        lesson(
            "A ring buffer is dearer than a map.",
            "refuted",
            "`ringbuf` keeps 0.663 and `hash-published` 0.740: less than the noise of this host.",
            &[("ringbuf", 0.663), ("hash-published", 0.740)],
        ),
        lesson(
            "Contention makes shared hashes slow with few flows.",
            "not measurable here",
            "One CPU sends: nobody contends.",
            &[],
        ),
    ]
}

fn recommendation() -> Recommendation {
    let settings = [("clock", "tick"), ("memory-budget", "64MiB"), ("flows-per-cpu", "131072")];
    let variant = |clock: &str, memory: u64, flows: u32, ns: f64, lost: f64| Variant {
        clock: clock.into(),
        memory_budget: memory << 20,
        flows_per_cpu: flows,
        traffic: "30000-flows".into(),
        isolated_ns: ns,
        spilled_share: lost * 3.0,
        lost_share: lost,
    };
    Recommendation {
        settings: settings.map(|(name, value)| (name.to_string(), value.to_string())).into(),
        cost_ns: 31.4,
        because: vec!["It is the cheapest of 4 that lost nothing with 100 000 flows.".into()],
        tried: vec![
            variant("tick", 64, 131_072, 31.4, 0.0),
            variant("tick", 16, 32_768, 29.8, 0.012),
            variant("fine", 64, 131_072, 49.9, 0.0),
            variant("fine", 16, 32_768, 47.2, 0.011),
        ],
    }
}
