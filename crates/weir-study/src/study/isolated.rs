//! Each arm by itself: the kernel runs its program on one packet after another (`BPF_PROG_TEST_RUN`), and nothing
//! else.

use super::slice::NAP;
use super::watcher::Watcher;
use crate::arms::readers::Pace;
use crate::arms::{self, Driver, LOOPBACK, Spec};
use crate::traffic::Schedule;
use crate::{interrupt, machine};
use anyhow::Result;
use std::time::Duration;
use weir_kernel::Loaded;

/// Packets between two reads of what holds a record for each: less than any of them has room for.
const PORTION: u32 = 8192;
/// Portions to warm up: every flow of a schedule comes up. A record per packet needs no flows.
const WARM: u32 = 32;
/// Portions of a measurement; of a record per packet, which may wake its reader every time, one.
const PORTIONS: u32 = 8;

/// Runs arms under one traffic.
pub struct Isolated {
    harness: Loaded,
    ipv6: bool,
}

impl Isolated {
    /// With the flows of `schedule`, in its order.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(schedule: &Schedule) -> Result<Self> {
        let ipv6 = schedule.steps.first().is_some_and(|step| step.ipv6);
        Ok(Self { harness: arms::harness_along(&schedule.steps)?, ipv6 })
    }

    /// Nanoseconds per packet, driver included, of each arm that has a program: `rounds` of them, interleaved.
    ///
    /// # Errors
    /// The kernel refuses, or somebody has had enough.
    pub fn measure(
        &self,
        cpus: &[usize],
        arms: &mut [(&'static Spec, Watcher)],
        rounds: u32,
    ) -> Result<Vec<Vec<f64>>> {
        machine::on_last_of(cpus, || {
            let driver = Driver::along(&self.harness, self.ipv6)?;
            let mut times = vec![Vec::new(); arms.len()];
            for round in 0..=rounds {
                for ((_, watcher), times) in arms.iter_mut().zip(&mut times) {
                    interrupt::check()?;
                    let portions = match (watcher.pace(), round) {
                        (Some(Pace::Eager), _) => 1,
                        (_, 0) => WARM,
                        _ => PORTIONS,
                    };
                    times.extend(run(&driver, watcher, portions)?.filter(|_| round > 0));
                }
            }
            for (_, watcher) in arms {
                watcher.finish()?;
            }
            Ok(times)
        })
    }
}

/// Nothing where there is no program. Readers that must keep up read in between, which does not count.
fn run(driver: &Driver<'_>, watcher: &mut Watcher, portions: u32) -> Result<Option<f64>> {
    let pace = watcher.pace();
    let Some(arm) = watcher.arm() else { return Ok(None) };
    arm.observe(LOOPBACK)?;
    arm.with_program(|program| driver.aim_at(program))?;
    let mut sum = 0.0;
    for _ in 0..portions {
        sum += driver.run(PORTION)?;
        match pace {
            Some(Pace::Eager) => watcher.read(NAP)?,
            Some(Pace::WhenWoken) => watcher.relieve(Duration::ZERO)?,
            _ => {}
        }
    }
    Ok(Some(sum / f64::from(portions)))
}
