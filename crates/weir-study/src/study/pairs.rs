//! What a packet takes longer because of who watches, against packets nearby that nobody watched: those of every other
//! window of a thousand. Neighbours on the host of a virtual machine halve its speed and give it back within a second,
//! so that two slices are slices of two machines; windows a fraction of a millisecond apart are of the same.
//!
//! What watching costs depends on that speed, too. So only slices count in which the machine was quick.

use super::figures::Record;
use super::plan::Plan;
use super::run::{READS, Study};
use super::slice::{self, Nearby, Sees};
use super::watcher::Watcher;
use crate::arms::{Kind, Spec};
use crate::interrupt;
use crate::lab::Line;
use crate::results::{NONE, median};
use crate::senders::Job;
use anyhow::Result;
use std::time::{Duration, Instant};

/// Where unwatched packets took more than so many times the least, the machine was disturbed. A neighbour on the other
/// thread of the core makes it 1.6; what an arm leaves in the caches, a tenth.
const DISTURBED: f64 = 1.2;

/// Some hundred windows, and soon over: the less does a neighbour come or go in the middle.
const SLICE: Duration = Duration::from_millis(60);

/// How many slices that takes, if the machine is quick.
pub fn steps(plan: &Plan) -> usize {
    if plan.effort.patience().is_none() {
        return 0;
    }
    let ours = plan.arms().into_iter().filter(|spec| is_gated(spec)).count();
    plan.traffics().len() * plan.rounds() as usize * ours
}

/// Packet sockets see packets before any gate.
fn is_gated(spec: &Spec) -> bool {
    spec.kind != Kind::Program
}

/// Each arm in turn, until each was seen in as many slices as there are rounds in which the machine was quick, or for long
/// enough.
pub fn measure(
    study: &mut Study<'_>,
    line: &mut Line,
    arms: &mut [(&'static Spec, Watcher)],
    records: &mut [Record],
) -> Result<()> {
    let Some(patience) = study.plan.effort.patience() else { return Ok(()) };
    // Not before Linux 6.6, and not on a real link: slices are held against each other there.
    if line.gate().is_err() {
        return Ok(());
    }
    let rounds = study.plan.rounds() as usize;
    let mut seen: Vec<Vec<Nearby>> = vec![Vec::new(); arms.len()];
    let begun = Instant::now();
    for pass in 0.. {
        let least = least(&seen);
        let lacks = |number: usize| undisturbed(&seen[number], least) < rounds;
        let wanted: Vec<usize> =
            (0..arms.len()).filter(|number| is_gated(arms[*number].0) && lacks(*number)).collect();
        if wanted.is_empty() || (pass >= rounds && begun.elapsed() > patience) {
            break;
        }
        for number in wanted {
            let (spec, watcher) = &mut arms[number];
            study.step(usize::from(pass < rounds), &format!("{} by windows", spec.name))?;
            match look(study, line, watcher) {
                Ok(Some(nearby)) => seen[number].push(nearby),
                // Not one window and the next fit into the slice: the machine stood still.
                Ok(None) => {}
                Err(error) => study.note_failure(line, spec.name, error)?,
            }
        }
    }
    conclude(arms, &seen, rounds, records);
    Ok(())
}

fn look(study: &Study<'_>, line: &mut Line, watcher: &mut Watcher) -> Result<Option<Nearby>> {
    interrupt::check()?;
    let job = Job { time: SLICE, rate: None };
    Ok(slice::run((&study.lab, line), watcher, job, (READS, Sees::EveryOther))?.nearby)
}

/// What a packet took when the machine was quickest.
fn least(seen: &[Vec<Nearby>]) -> f64 {
    seen.iter().flatten().map(|nearby| nearby.unwatched_ns).fold(f64::INFINITY, f64::min)
}

fn undisturbed(seen: &[Nearby], least: f64) -> usize {
    seen.iter().filter(|nearby| nearby.unwatched_ns <= DISTURBED * least).count()
}

/// With nobody watching there is a difference, too: the far end takes packets off the way at one place or the other. It is
/// no part of what watching costs.
fn conclude(arms: &[(&Spec, Watcher)], seen: &[Vec<Nearby>], rounds: usize, records: &mut [Record]) {
    let none = arms.iter().zip(seen).find(|((spec, _), _)| spec.name == NONE);
    let Some(none_seen) = none.map(|(_, seen)| seen) else { return };
    let Some(none) = median(&quickest(none_seen, rounds)) else { return };
    let least = least(seen);
    let lacks = |seen: &[Nearby]| undisturbed(seen, least) < rounds;
    for (((spec, _), seen), record) in arms.iter().zip(seen).zip(records) {
        if spec.name != NONE {
            record.nearby = quickest(seen, rounds).into_iter().map(|difference| difference - none).collect();
            record.disturbed = lacks(seen) || lacks(none_seen);
        }
    }
}

/// The differences of those `rounds` in which the machine was quickest.
fn quickest(seen: &[Nearby], rounds: usize) -> Vec<f64> {
    let mut sorted = seen.to_vec();
    sorted.sort_by(|one, other| one.unwatched_ns.total_cmp(&other.unwatched_ns));
    sorted.iter().take(rounds).map(|nearby| nearby.difference_ns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearby(unwatched_ns: f64, difference_ns: f64) -> Nearby {
        Nearby { unwatched_ns, difference_ns }
    }

    #[test]
    fn what_counts_was_seen_on_a_quick_machine() {
        let seen = [nearby(250.0, 60.0), nearby(150.0, 20.0), nearby(248.0, 55.0), nearby(155.0, 22.0)];
        assert_eq!(quickest(&seen, 2), [20.0, 22.0]);
        assert_eq!(quickest(&seen, 9).len(), 4);
        assert_eq!(quickest(&[], 2), [0.0; 0]);
    }

    #[test]
    fn quick_is_near_the_least_of_all() {
        let seen = [vec![nearby(250.0, 60.0), nearby(170.0, 20.0)], vec![nearby(150.0, 9.0)], vec![]];
        let least = least(&seen);
        assert_eq!(least, 150.0);
        assert_eq!(seen.each_ref().map(|seen| undisturbed(seen, least)), [1, 1, 0]);
    }
}
