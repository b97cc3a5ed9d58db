//! Throughput against the number of CPUs that send.

use super::figures::mpps;
use super::plan::Plan;
use super::run::Study;
use super::watcher::Watcher;
use crate::arms::Spec;
use crate::results::{Scaling, ScalingPoint, fit, median};
use crate::traffic::Traffic;
use anyhow::Result;
use std::collections::BTreeSet;

/// One map for all, one for each CPU, and nobody.
const ARMS: [&str; 7] = ["none", "ringbuf", "array", "percpu-array", "hash", "percpu-hash", "weir"];
/// One flow that all send, where maps are shared most; and one for each.
const TRAFFICS: [&str; 2] = ["1-flow", "flow-per-cpu"];
const ROUNDS: usize = 3;

/// How many points that are.
pub fn steps(plan: &Plan, cpus: usize) -> usize {
    TRAFFICS.len() * counts(cpus).len() * arms(plan).len()
}

/// One sender, two, four … and all CPUs: with these, whoever reads shares one of them.
fn counts(cpus: usize) -> BTreeSet<usize> {
    (0..).map(|power| 1 << power).take_while(|count| *count < cpus).chain([cpus - 1, cpus]).collect()
}

fn arms(plan: &Plan) -> Vec<&'static Spec> {
    plan.arms().into_iter().filter(|spec| ARMS.contains(&spec.name)).collect()
}

/// Some arms with more and more senders.
pub fn measure(study: &mut Study<'_>) -> Result<()> {
    for text in TRAFFICS {
        let mut traffic: Traffic = text.parse().map_err(anyhow::Error::msg)?;
        traffic.ipv6 = study.plan.is_ipv6();
        let specs = arms(study.plan);
        let mut points: Vec<Vec<ScalingPoint>> = vec![Vec::new(); specs.len()];
        for count in counts(study.cpus.len()) {
            let cpus = study.cpus[study.cpus.len() - count..].to_vec();
            let mut line = study.line(&traffic, &cpus)?;
            for (spec, points) in specs.iter().zip(&mut points) {
                study.step(1, &format!("{} with {count} senders", spec.name))?;
                let Ok(mut watcher) = Watcher::new(spec) else { continue };
                let mut rates = Vec::new();
                for _ in 0..ROUNDS {
                    match study.slice(&mut line, &mut watcher) {
                        Ok(slice) => rates.push(mpps(&slice)),
                        Err(error) => study.note_failure(&line, spec.name, error)?,
                    }
                }
                points.extend(median(&rates).map(|mpps| ScalingPoint { senders: count as u32, mpps }));
            }
        }
        for (spec, points) in specs.iter().zip(points) {
            let (fit, note) = fit(&points);
            let (arm, traffic) = (spec.name.to_owned(), text.to_owned());
            study.results.scaling.push(Scaling { arm, traffic, points, fit, note });
        }
    }
    Ok(())
}
