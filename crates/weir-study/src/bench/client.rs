//! A program that makes traffic, and stands still now and then, so that the reference work can have the machine.
//!
//! The agent stands still too, a moment after the client: what it has to do later because of the traffic is part of what
//! watching costs. If it did that while the reference work runs, both would be slower, and their ratio the same.

use crate::bench::agent::Agent;
use crate::bench::reference::{Measured, OnEveryCpu, Work};
use crate::interrupt;
use crate::programs::process::Process;
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Until it has connected, and its own clock runs.
const START: Duration = Duration::from_millis(100);
/// How long it goes on between two pauses.
const ACTIVE: Duration = Duration::from_millis(34);
/// What is on its way when it stops arrives meanwhile.
const ARRIVAL: Duration = Duration::from_micros(800);
/// How long the reference work takes in each pause.
const REFERENCE: Duration = Duration::from_millis(6);
/// How much longer it may take than it was told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of it.
pub struct Ended {
    /// What it said.
    pub output: String,
    /// What it complained of.
    pub errors: String,
    /// How long it stood still, and everything else with it.
    pub paused: Duration,
    /// What was done meanwhile.
    pub reference: Work,
}

/// What happens now and then while a client runs.
#[derive(Clone, Copy)]
pub struct Pauses<'a> {
    /// Who watches it, if anybody does.
    pub agent: Option<&'a Agent>,
    /// What runs meanwhile.
    pub reference: &'a OnEveryCpu,
}

impl Pauses<'_> {
    /// Runs a client that ends by itself after `time`.
    pub fn run(self, name: &'static str, command: &mut Command, time: Duration) -> Result<Ended> {
        let mut client = Process::start(name, command)?;
        let start = Instant::now();
        let (mut paused, mut reference) = (Duration::ZERO, Work::default());
        thread::sleep(START);
        while !client.has_ended()? {
            interrupt::check()?;
            ensure!(start.elapsed() < time + PATIENCE, "{name} does not end after {time:?}");
            let (pause, work) = self.pause(&client)?;
            paused += pause;
            reference += work;
            thread::sleep(ACTIVE);
        }
        Ok(Ended { output: client.output(), errors: client.errors(), paused, reference })
    }

    /// How long it stood still, and what was done meanwhile. The agent goes on before the client does.
    fn pause(self, client: &Process) -> Result<(Duration, Work)> {
        let _client = client.pause()?;
        thread::sleep(ARRIVAL);
        let start = Instant::now();
        let _agent = self.agent.map(Agent::pause).transpose()?;
        let work = self.reference.run(REFERENCE)?;
        Ok((start.elapsed(), work))
    }
}

impl Ended {
    /// Of so much traffic, in so many seconds by the client's own clock, which does not stand still.
    pub fn measured(&self, count: u64, seconds: f64) -> Result<Measured> {
        let active = seconds - self.paused.as_secs_f64();
        let time = Duration::try_from_secs_f64(active).context("it stood still for longer than it ran")?;
        ensure!(self.reference.count > 0, "it ended before the reference work had a turn");
        Ok(Measured { traffic: Work { count, time }, reference: self.reference })
    }
}
