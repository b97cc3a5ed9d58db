//! A study from its beginning to its end, or to where it had to end.

use super::figures::Record;
use super::isolated::Isolated;
use super::plan::Plan;
use super::slice::{self, Consumer, Sees, Slice};
use super::watcher::Watcher;
use super::{load, pairs, scaling};
use crate::arms::{Kind, Spec};
use crate::lab::{Lab, Line};
use crate::pcap;
use crate::recommend::recommend;
use crate::results::{self, Config, EMPTY, Measured, Results, TrafficInfo, flow_scaling, lessons};
use crate::senders::Job;
use crate::traffic::{GeneratorKind, Mix, Schedule, Step, Traffic};
use crate::{interrupt, machine, tuning};
use anyhow::{Context, Result, bail, ensure};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::stats::Statistics;

/// Other programs take seconds to start and to end: they are measured in the first rounds only.
const PROGRAM_ROUNDS: u32 = 4;
/// Arms that are held against the same slice in which nobody watched.
const ARMS_PER_NONE: usize = 5;
/// Times that arms are measured in isolation.
const ISOLATED_ROUNDS: u32 = 5;

/// How often aggregates are read, beside the end of each slice: as `weir run` does by default.
const INTERVAL: Duration = Duration::from_secs(1);
/// What is read as it should be.
pub const READS: Consumer = Consumer::Reads(INTERVAL);

/// Who hears how far the study is.
pub trait Audience {
    /// Which part of the whole is done, and what is being done.
    fn progress(&mut self, done: f64, doing: &str);
    /// All arms have been measured under this traffic.
    ///
    /// # Errors
    /// It cannot go on like this: the study ends here.
    fn measured(&mut self, traffic: &TrafficInfo, so_far: &Results) -> Result<()>;
}

/// A study under way.
pub struct Study<'a> {
    /// What is to be done.
    pub plan: &'a Plan,
    /// Where.
    pub lab: Lab,
    /// The CPUs that may be used.
    pub cpus: Vec<usize>,
    /// The fastest generator that there is.
    generator: GeneratorKind,
    /// Who hears of it.
    audience: &'a mut dyn Audience,
    /// What has been found so far.
    pub results: Results,
    /// Steps that are done, and that there are.
    steps: (usize, usize),
}

/// Carries out `plan`. What was found is returned even where the study could not be finished: then
/// [`Results::partial`] says why.
///
/// # Errors
/// It could not even begin: no privileges, too few CPUs.
pub fn run(plan: &Plan, started: String, audience: &mut dyn Audience) -> Result<Results> {
    prepare()?;
    let begun = Instant::now();
    let cpus = machine::allowed()?;
    ensure!(
        cpus.len() > 1,
        "too few CPUs: one sends and another reads, and this process may use {}",
        cpus.len()
    );
    let lab = match &plan.link {
        None => Lab::veth()?,
        Some((interface, to)) => Lab::link(interface, *to)?,
    };
    // Before anything is measured that would be in vain.
    for traffic in plan.traffics() {
        if let Mix::Replay(path) = &traffic.mix {
            replay(path)?;
        }
    }
    let generator = fastest(&lab, &cpus)?;
    let results = begin(plan, &lab, &cpus, started);
    let rounds = plan.rounds() as usize;
    // In every traffic each arm in every round, and once more by itself; then what comes afterwards.
    let total = plan.traffics().len() * ((rounds + 1) * plan.arms().len() - rounds)
        + pairs::steps(plan)
        + load::steps(plan)
        + scaling::steps(plan, cpus.len())
        + TUNING;
    let mut study = Study { plan, lab, cpus, generator, audience, results, steps: (0, total) };
    if let Err(error) = study.carry_out() {
        let reasons = study.results.partial.take().map(|reasons| reasons + "; ").unwrap_or_default();
        study.results.partial = Some(format!("{reasons}{error:#}"));
    }
    study.results.forget_skips();
    study.results.flow_scaling = flow_scaling(&study.results);
    study.results.lessons = lessons(&study.results);
    study.results.seconds = begun.elapsed().as_secs_f64();
    Ok(study.results)
}

/// Has signals noted, and this process go before others. To be called before any thread is started.
///
/// # Errors
/// The kernel refuses.
pub fn prepare() -> Result<()> {
    interrupt::catch()?;
    machine::go_first();
    Ok(())
}

/// What this machine is.
pub fn survey() -> results::Machine {
    super::survey::survey(&machine::allowed().unwrap_or_default())
}

/// Trying settings takes about as long as so many slices.
const TUNING: usize = 30;

/// The results of a study that has found nothing yet.
fn begin(plan: &Plan, lab: &Lab, cpus: &[usize], started: String) -> Results {
    let slice = plan.effort.slice();
    Results {
        format: results::FORMAT,
        weir: env!("CARGO_PKG_VERSION").into(),
        started,
        seconds: 0.0,
        partial: None,
        machine: super::survey::survey(cpus),
        config: Config {
            effort: plan.effort.name().into(),
            rounds: plan.rounds(),
            slice: slice.as_secs_f64(),
            interval: INTERVAL.as_secs_f64(),
            senders: sending(cpus).len() as u32,
            link: lab.name().into(),
            arms: plan.arms().iter().map(|spec| spec.info(None)).collect(),
            traffics: Vec::new(),
        },
        results: Vec::new(),
        load: Vec::new(),
        scaling: Vec::new(),
        flow_scaling: Vec::new(),
        lessons: Vec::new(),
        recommendation: None,
    }
}

/// All CPUs but the first, which reads.
pub fn sending(cpus: &[usize]) -> &[usize] {
    &cpus[1..]
}

/// Tries what the kernel has.
fn fastest(lab: &Lab, cpus: &[usize]) -> Result<GeneratorKind> {
    if matches!(lab, Lab::Link(_)) {
        return Ok(GeneratorKind::Udp);
    }
    let traffic: Traffic = "1-flow".parse().map_err(anyhow::Error::msg)?;
    let mut refusal = None;
    for kind in [GeneratorKind::Xdp, GeneratorKind::Packet, GeneratorKind::Udp] {
        match try_out(lab, &traffic, kind, cpus) {
            Ok(()) => return Ok(kind),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| anyhow::anyhow!("no packets can be sent")))
}

fn try_out(lab: &Lab, traffic: &Traffic, kind: GeneratorKind, cpus: &[usize]) -> Result<()> {
    let schedule = Arc::new(Schedule::new(traffic, 1, Vec::new()));
    let mut line = Line::new(lab, schedule, kind, &cpus[cpus.len() - 1..])?;
    let mut nobody = Watcher::nobody();
    let job = Job { time: Duration::from_millis(1), rate: None };
    let slice = slice::run((lab, &mut line), &mut nobody, job, (Consumer::Starves, Sees::All))?;
    if slice.received == 0 {
        bail!("packets do not arrive");
    }
    Ok(())
}

impl Study<'_> {
    fn carry_out(&mut self) -> Result<()> {
        for traffic in self.plan.traffics() {
            self.measure(&traffic).with_context(|| format!("under {traffic}"))?;
        }
        load::measure(self)?;
        scaling::measure(self)?;
        let doing = "settings of weir run";
        self.step(1, doing)?;
        machine::stay_on(&self.cpus)?;
        let variants = tuning::try_variants(tuning::PACKETS, |_, _| ())?;
        self.results.recommendation = Some(recommend(&self.results.machine, variants));
        self.step(TUNING - 1, doing)
    }

    /// All arms under one traffic.
    fn measure(&mut self, traffic: &Traffic) -> Result<()> {
        let senders = match traffic.mix {
            Mix::FlowPerCpu => self.cpus.clone(),
            _ => sending(&self.cpus).to_vec(),
        };
        let mut line = self.line(traffic, &senders)?;
        let info = self.info(traffic, &line);
        let mut arms = self.load_arms(traffic);
        let mut records: Vec<Record> = arms.iter().map(|_| Record::default()).collect();
        for round in 0..=self.plan.rounds() {
            self.round(round, &mut line, &mut arms, &mut records, &info.name)?;
        }
        pairs::measure(self, &mut line, &mut arms, &mut records)?;
        self.read_statistics(&mut line, &mut arms, &mut records)?;
        self.isolate(&line, &mut arms, &mut records)?;

        let empty = arms.iter().position(|(spec, _)| spec.name == EMPTY).map(|at| &records[at]);
        let results: Vec<Measured> = arms
            .iter()
            .zip(&records)
            .filter_map(|((spec, _), record)| record.conclude(spec, &info.name, empty))
            .collect();
        self.results.results.extend(results);
        self.results.config.traffics.push(info.clone());
        self.audience.measured(&info, &self.results)
    }

    /// Each arm once; who comes first changes from round to round. `none`, which all are held against, comes again
    /// and again, so that what disturbs the machine disturbs both. The first round warms up and does not count.
    fn round(
        &mut self,
        round: u32,
        line: &mut Line,
        arms: &mut [(&'static Spec, Watcher)],
        records: &mut [Record],
        traffic: &str,
    ) -> Result<()> {
        let others = arms.len() - 1;
        let mut none = self.slice(line, &mut arms[0].1)?;
        if round > 0 {
            records[0].push(none.clone(), &none);
        }
        for turn in 0..others {
            if turn > 0 && turn % ARMS_PER_NONE == 0 {
                none = self.slice(line, &mut arms[0].1)?;
            }
            let number = 1 + (turn + round as usize) % others.max(1);
            let (spec, watcher) = &mut arms[number];
            self.step(usize::from(round > 0), &format!("{} under {traffic}", spec.name))?;
            if spec.kind == Kind::Program && (round == 0 || round > PROGRAM_ROUNDS) {
                continue;
            }
            match self.slice(line, watcher) {
                Ok(slice) if round > 0 => records[number].push(slice, &none),
                Ok(_) => {}
                Err(error) => self.note_failure(line, &format!("{} under {traffic}", spec.name), error)?,
            }
        }
        Ok(())
    }

    /// An arm that fails is no reason not to go on with the others, unless somebody has had enough.
    pub fn note_failure(&mut self, line: &Line, what: &str, error: anyhow::Error) -> Result<()> {
        interrupt::check()?;
        if line.is_given_up() {
            return Err(error);
        }
        let reason = format!("{what}: {error:#}");
        match &mut self.results.partial {
            Some(reasons) if reasons.contains(&reason) => {}
            Some(reasons) => *reasons += &format!("; {reason}"),
            none => *none = Some(reason),
        }
        Ok(())
    }

    /// One slice at full rate, with everything read as it should be.
    pub fn slice(&mut self, line: &mut Line, watcher: &mut Watcher) -> Result<Slice> {
        self.slice_at(line, watcher, None)
    }

    /// The same at a rate, in packets per second of each sender.
    pub fn slice_at(&mut self, line: &mut Line, watcher: &mut Watcher, rate: Option<f64>) -> Result<Slice> {
        interrupt::check()?;
        let time = self.plan.effort.slice();
        slice::run((&self.lab, line), watcher, Job { time, rate }, (READS, Sees::All))
    }

    /// Senders on `cpus`; the others are for whoever reads.
    pub fn line(&mut self, traffic: &Traffic, cpus: &[usize]) -> Result<Line> {
        let rest: Vec<usize> = self.cpus.iter().copied().filter(|cpu| !cpus.contains(cpu)).collect();
        machine::stay_on(if rest.is_empty() { &self.cpus } else { &rest[..1] })?;
        let replayed = match &traffic.mix {
            Mix::Replay(path) => replay(path)?,
            _ => Vec::new(),
        };
        let schedule = Schedule::new(traffic, cpus.len() as u32, replayed);
        Line::new(&self.lab, Arc::new(schedule), traffic.generator.unwrap_or(self.generator), cpus)
    }

    fn info(&self, traffic: &Traffic, line: &Line) -> TrafficInfo {
        TrafficInfo {
            name: traffic.to_string(),
            about: traffic.about(),
            flows: line.schedule().flows,
            generator: traffic.generator.unwrap_or(self.generator).name().into(),
            bytes: line.schedule().mean_bytes(),
        }
    }

    /// Those that can be; for the others it is noted why not.
    fn load_arms(&mut self, traffic: &Traffic) -> Vec<(&'static Spec, Watcher)> {
        let mut arms = Vec::new();
        for (number, spec) in self.plan.arms().into_iter().enumerate() {
            match Watcher::new(spec) {
                Ok(watcher) if watcher.objection(&self.lab, traffic.ipv6).is_none() => {
                    arms.push((spec, watcher))
                }
                Ok(watcher) if self.results.config.traffics.is_empty() && self.lab.stage().is_none() => {
                    let why = watcher.objection(&self.lab, traffic.ipv6).map(str::to_owned);
                    self.results.config.arms[number].skipped = why;
                }
                Ok(_) => {}
                Err(error) => self.results.config.arms[number].skipped = Some(format!("{error:#}")),
            }
        }
        arms
    }

    /// One more slice with the kernel's statistics on, which cost time themselves.
    fn read_statistics(
        &mut self,
        line: &mut Line,
        arms: &mut [(&'static Spec, Watcher)],
        records: &mut [Record],
    ) -> Result<()> {
        for ((_, watcher), record) in arms.iter_mut().zip(records.iter_mut()) {
            record.map_bytes = watcher.memory();
        }
        // Linux 5.8; without it the figures are left out.
        let Ok(_statistics) = Statistics::enable() else { return Ok(()) };
        for ((spec, watcher), record) in arms.iter_mut().zip(records) {
            if let Some(arm) = watcher.arm() {
                let before = arm.runs();
                if let Err(error) = self.slice(line, watcher) {
                    self.note_failure(line, spec.name, error)?;
                    continue;
                }
                let after = watcher.arm().map(|arm| arm.runs()).unwrap_or_default();
                let pairs = || after.iter().zip(&before);
                let count: u64 = pairs().map(|(after, before)| after.count - before.count).sum();
                let time: u64 = pairs().map(|(after, before)| after.nanoseconds - before.nanoseconds).sum();
                record.program_ns = (count > 0).then(|| time as f64 / count as f64);
            }
        }
        Ok(())
    }

    fn isolate(
        &mut self,
        line: &Line,
        arms: &mut [(&'static Spec, Watcher)],
        records: &mut [Record],
    ) -> Result<()> {
        self.step(arms.len(), "programs by themselves")?;
        let times = Isolated::new(line.schedule())?.measure(&self.cpus, arms, ISOLATED_ROUNDS)?;
        records.iter_mut().zip(times).for_each(|(record, times)| record.isolated = times);
        Ok(())
    }

    /// So many steps more are done.
    pub fn step(&mut self, steps: usize, doing: &str) -> Result<()> {
        interrupt::check()?;
        self.steps.0 = (self.steps.0 + steps).min(self.steps.1);
        self.audience.progress(self.steps.0 as f64 / self.steps.1 as f64, doing);
        Ok(())
    }

    /// The traffic that load and scaling are measured with: `40-flows` if nothing else is said.
    pub fn many_flows(&self) -> Option<Traffic> {
        let all = self.plan.traffics();
        all.iter().find(|traffic| traffic.to_string() == "40-flows").or(all.last()).cloned()
    }
}

fn replay(path: &std::path::Path) -> Result<Vec<Step>> {
    let packets = pcap::read(path)?;
    ensure!(!packets.is_empty(), "{} has no packets of IP", path.display());
    let step = |packet: &pcap::Packet| Step {
        flow: packet.flow,
        length: packet.length.clamp(crate::traffic::least(packet.ipv6), crate::traffic::MOST),
        ipv6: packet.ipv6,
    };
    Ok(packets.iter().map(step).collect())
}
