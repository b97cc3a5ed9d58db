//! Throughput against the number of CPUs that send.

use super::figures::mpps;
use super::run::Study;
use super::watcher::Watcher;
use crate::results::{Scaling, ScalingPoint, fit, median};
use crate::traffic::Traffic;
use anyhow::Result;
use std::collections::BTreeSet;

/// One map for all, one for each CPU, and nobody.
const ARMS: [&str; 7] = ["none", "ringbuf", "array", "percpu-array", "hash", "percpu-hash", "weir"];
/// One flow that all send, where maps are shared most; and one for each.
const TRAFFICS: [&str; 2] = ["1-flow", "flow-per-cpu"];
const ROUNDS: usize = 3;

/// With one sender, two, four … and all.
pub fn measure(study: &mut Study<'_>) -> Result<()> {
    let most = study.cpus.len();
    let counts: BTreeSet<usize> =
        (0..).map(|power| 1 << power).take_while(|count| *count < most).chain([most - 1, most]).collect();
    for traffic in TRAFFICS {
        let traffic: Traffic = traffic.parse().map_err(anyhow::Error::msg)?;
        let specs: Vec<_> = study.plan.arms().into_iter().filter(|spec| ARMS.contains(&spec.name)).collect();
        let mut points: Vec<Vec<ScalingPoint>> = vec![Vec::new(); specs.len()];
        for &count in &counts {
            let cpus = study.cpus[most - count..].to_vec();
            let mut line = study.line(&traffic, &cpus)?;
            for (spec, points) in specs.iter().zip(&mut points) {
                study.step(1, &format!("{} with {count} senders", spec.name))?;
                let mut watcher = Watcher::new(spec)?;
                let mut rates = Vec::new();
                for _ in 0..ROUNDS {
                    rates.push(mpps(&study.slice(&mut line, &mut watcher)?));
                }
                points.extend(median(&rates).map(|mpps| ScalingPoint { senders: count as u32, mpps }));
            }
        }
        for (spec, points) in specs.iter().zip(points) {
            let (fit, note) = fit(&points);
            let (arm, traffic) = (spec.name.to_owned(), traffic.to_string());
            study.results.scaling.push(Scaling { arm, traffic, points, fit, note });
        }
    }
    Ok(())
}
