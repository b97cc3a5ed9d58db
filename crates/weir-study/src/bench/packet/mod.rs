//! Nanoseconds per packet of the shipped program, beside other programs that keep the same
//! flows, each run by the kernel itself (`BPF_PROG_TEST_RUN`) under the same driver.

mod arms;
pub(crate) mod postcards;
pub mod rules;
mod traffic;

use crate::arms::Driver;
use crate::bench::Effort;
use crate::bench::report::{Report, Row, Table, Target};
use crate::results::EMPTY;
use crate::spread::Spread;
use crate::{interrupt, machine};
use anyhow::Result;

use arms::{Arm, Arms};
use traffic::{TRAFFIC, Traffic};

/// All traffic patterns, all arms.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    for traffic in &TRAFFIC {
        report.add(machine::on_one_cpu(|| measure(traffic, effort))?);
    }
    Ok(())
}

/// Programs and maps are loaded anew for every pattern, so that none starts with another's flows.
fn measure(traffic: &Traffic, effort: Effort) -> Result<Table> {
    let arms = Arms::load()?;
    let driver = Driver::drawing(arms.harness(), traffic.drawn)?;
    let _reader = postcards::Reader::start(arms.postcards_ring()?)?;
    for arm in arms.iter() {
        driver.aim_at(&arm.program()?)?;
        driver.run(2 * effort.packets)?;
    }
    let lost_before = arms.postcards_lost()?;
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); arms.iter().count()];
    for _ in 0..effort.rounds {
        for (arm, times) in arms.iter().zip(&mut rounds) {
            interrupt::check()?;
            driver.aim_at(&arm.program()?)?;
            driver.run(effort.packets / 5)?; // the arm before it has left its own lines in the caches
            times.push(driver.run(effort.packets)?);
        }
    }
    let lost = arms.postcards_lost()? - lost_before;
    let posted = effort.rounds as f64 * f64::from(effort.packets + effort.packets / 5);
    Ok(table(traffic, &arms, &rounds, 100.0 * lost as f64 / posted))
}

fn table(traffic: &Traffic, arms: &Arms, rounds: &[Vec<f64>], lost_percent: f64) -> Table {
    let of = |name: &str| arms.iter().zip(rounds).find(|(arm, _)| arm.name == name).map(|(_, times)| times);
    let empty = of(EMPTY).expect("there is an empty arm");
    let reference = of(arms::REFERENCE).expect("there is a reference");
    let added =
        |times: &[f64]| -> Vec<f64> { times.iter().zip(empty).map(|(time, empty)| time - empty).collect() };
    let reference = added(reference);

    let row = |(arm, times): (&Arm, &Vec<f64>)| {
        let added = added(times);
        let ratio = Spread::of(added.iter().zip(&reference).map(|(arm, reference)| arm / reference));
        let target = traffic.target.filter(|_| arm.name == arms::WEIR).map(Target::AtMost);
        Row { name: arm.name.into(), value: Spread::of(added), ratio: Some(ratio), target }
    };
    let rows = arms.iter().zip(rounds).filter(|(arm, _)| arm.name != EMPTY).map(row).collect();
    Table {
        title: format!("packet, {}", traffic.name),
        unit: format!(
            "ns added to an empty program ({:.0} ns with the driver); ratio to “{}”",
            Spread::of(empty.iter().copied()).median,
            arms::REFERENCE
        ),
        digits: 1,
        rows,
        notes: vec![format!(
            "postcards: {lost_percent:.0} % found the ring full, though it is read all the time"
        )],
    }
}
