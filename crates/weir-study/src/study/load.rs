//! Loss, and the consumer's CPU time, against the rate.

use super::figures::mpps;
use super::plan::Plan;
use super::run::{Study, sending};
use super::watcher::Watcher;
use crate::results::LoadPoint;
use anyhow::Result;

/// Those that tell most: records per packet, aggregates, and what people know.
const ARMS: [&str; 7] = ["ringbuf", "perfbuf", "array", "percpu-array", "percpu-hash", "weir", "af-packet"];
/// Shares of the rate that there is with nobody watching.
const SHARES: [f64; 4] = [0.1, 0.25, 0.5, 0.75];

/// How many slices that takes.
pub fn steps(plan: &Plan) -> usize {
    plan.arms().iter().filter(|spec| ARMS.contains(&spec.name)).count() * (SHARES.len() + 1)
}

/// The same slices at given rates.
pub fn measure(study: &mut Study<'_>) -> Result<()> {
    let Some(traffic) = study.many_flows() else { return Ok(()) };
    let name = traffic.to_string();
    let senders = sending(&study.cpus).to_vec();
    let mut line = study.line(&traffic, &senders)?;
    let full = mpps(&study.slice(&mut line, &mut Watcher::nobody())?) * 1e6;
    for spec in study.plan.arms().into_iter().filter(|spec| ARMS.contains(&spec.name)) {
        let Ok(mut watcher) = Watcher::new(spec) else { continue };
        if watcher.objection(&study.lab, traffic.ipv6).is_some() {
            continue;
        }
        let rates = SHARES.map(|share| Some(full * share)).into_iter().chain([None]);
        for rate in rates {
            study.step(1, &format!("{} at given rates", spec.name))?;
            let each = rate.map(|rate| rate / senders.len() as f64);
            let slice = match study.slice_at(&mut line, &mut watcher, each) {
                Ok(slice) => slice,
                Err(error) => {
                    study.note_failure(&line, spec.name, error)?;
                    continue;
                }
            };
            let reported = slice.reported.1.unwrap_or(slice.observed);
            let lost = slice.observed.saturating_sub(reported) as f64 / slice.observed.max(1) as f64;
            study.results.load.push(LoadPoint {
                arm: spec.name.into(),
                traffic: name.clone(),
                offered_mpps: rate.unwrap_or(full) / 1e6,
                mpps: mpps(&slice),
                lost_share: lost,
                consumer_cpu: slice.cpu.as_secs_f64() / slice.time.as_secs_f64(),
            });
        }
    }
    Ok(())
}
