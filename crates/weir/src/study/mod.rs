//! `weir study`: which data structure should watch the network, measured on this host.

mod files;
mod screen;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueHint};
use files::Directory;
use screen::Screen;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use weir_kernel::privilege;
use weir_study::arms::{self, ARMS, Spec};
use weir_study::recommend::recommend;
use weir_study::results::{self, Recommendation, Results, TrafficInfo, compare};
use weir_study::study::{Audience, Effort, Plan};
use weir_study::traffic::Traffic;
use weir_study::tuning;

/// Flags of `weir study`.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Traffic: 1-flow, N-flows, flow-per-cpu, zipf-N, pcap:FILE, each with any of +bursts-of-N, +N-bytes, +imix, \
                  +ipv6, and +xdp, +packet or +udp for how it is sent: zipf-5000+imix+udp. See docs/study.md."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// A minute or so: fewer and shorter rounds, two traffics
    #[arg(long, conflicts_with = "full", help_heading = "What to measure")]
    quick: bool,

    /// Half an hour or so: every traffic, to be quoted
    #[arg(long, help_heading = "What to measure")]
    full: bool,

    /// These ways to watch only, such as hash,percpu-hash,weir; all that can be used here without this
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = arm, help_heading = "What to measure")]
    arms: Vec<&'static Spec>,

    /// These traffic models, such as 1-flow,40-flows+ipv6
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "What to measure")]
    traffic: Vec<Traffic>,

    /// How often each arm is measured under each traffic
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "What to measure")]
    rounds: Option<u32>,

    /// Only find the settings of `weir run` that suit this host: ten seconds or so
    #[arg(long, conflicts_with_all = ["quick", "full", "arms", "traffic", "rounds", "interface"], help_heading = "What to measure")]
    recommend: bool,

    /// Send through this interface, rather than a veth pair in namespaces of the study's own
    #[arg(long, value_name = "IF", requires = "to", help_heading = "A real link")]
    interface: Option<String>,

    /// The host where `weir study sink` counts what arrives
    #[arg(long, value_name = "ADDRESS", requires = "interface", help_heading = "A real link")]
    to: Option<IpAddr>,

    /// Where the report goes; weir-study-TIME in this directory without this
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Output")]
    out: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Count what a study on another host sends here, until Ctrl-C
    Sink {
        /// Where its packets come in
        #[arg(long, value_name = "IF")]
        interface: String,
    },
    /// Tell what differs between two studies, and whether it is noise
    Compare {
        /// results.json of the one
        a: PathBuf,
        /// results.json of the other
        b: PathBuf,
    },
}

fn arm(name: &str) -> Result<&'static Spec, String> {
    let all = || ARMS.iter().map(|arm| arm.name).collect::<Vec<_>>().join(", ");
    arms::find(name).ok_or_else(|| format!("there is no such arm, but {}", all()))
}

/// Measures, compares, or counts for another host.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Some(Command::Compare { a, b }) => return compare_files(a, b),
        Some(Command::Sink { interface }) => return sink(interface),
        None => {}
    }
    require_privileges()?;
    let started = jiff::Timestamp::now();
    let out = arguments.out.clone().unwrap_or_else(|| default_directory(started));
    let directory = Directory::create(&out)?;
    let outcome = measure(arguments, &directory, started);
    if outcome.is_err() {
        directory.remove_if_empty();
    }
    outcome
}

fn measure(arguments: Arguments, directory: &Directory, started: jiff::Timestamp) -> Result<ExitCode> {
    let started = started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if arguments.recommend {
        return only_recommend(directory, &started);
    }
    let plan = plan(arguments);
    let mut show = Show { screen: Screen::new(), directory };
    let results = weir_study::study::run(&plan, started, &mut show);
    show.screen.clear();
    conclude(results?, directory)
}

fn plan(arguments: Arguments) -> Plan {
    let effort = match (arguments.quick, arguments.full) {
        (true, _) => Effort::Quick,
        (_, true) => Effort::Full,
        _ => Effort::Standard,
    };
    Plan {
        effort,
        rounds: arguments.rounds,
        arms: arguments.arms,
        traffics: arguments.traffic,
        link: arguments.interface.zip(arguments.to),
    }
}

fn default_directory(started: jiff::Timestamp) -> PathBuf {
    started.strftime("weir-study-%Y%m%dT%H%M%SZ").to_string().into()
}

fn require_privileges() -> Result<()> {
    let missing = privilege::missing_capabilities();
    if let Some(first) = missing.first() {
        bail!("a study has to {}: {} is missing. Run it as root", first.purpose, first.name);
    }
    Ok(())
}

/// Everything goes to the terminal, and to the directory, as soon as it is there.
struct Show<'a> {
    screen: Screen,
    directory: &'a Directory,
}

impl Audience for Show<'_> {
    fn progress(&mut self, done: f64, doing: &str) {
        self.screen.progress(done, doing);
    }

    fn measured(&mut self, traffic: &TrafficInfo, so_far: &Results) -> Result<()> {
        self.screen.table(traffic, so_far);
        self.directory.write_partial(so_far)
    }
}

fn conclude(results: Results, directory: &Directory) -> Result<ExitCode> {
    directory.write(&results)?;
    screen::conclude(&results, directory.path());
    Ok(match results.partial {
        None => ExitCode::SUCCESS,
        Some(reason) => {
            eprintln!(
                "weir: the study is not whole: {reason}. What there is, is in {}",
                directory.path().display()
            );
            ExitCode::from(1)
        }
    })
}

fn only_recommend(directory: &Directory, date: &str) -> Result<ExitCode> {
    weir_study::study::prepare()?;
    let mut screen = Screen::new();
    let tried = tuning::try_variants(tuning::PACKETS, |done, all| {
        screen.progress(done as f64 / all as f64, "settings of weir run");
    });
    screen.clear();
    let machine = weir_study::study::survey();
    let recommendation = recommend(&machine, tried?);
    let path = directory.write_tuned(&recommendation, &machine, date)?;
    print_recommendation(&recommendation, &path);
    Ok(ExitCode::SUCCESS)
}

fn print_recommendation(recommendation: &Recommendation, path: &Path) {
    println!("weir run --tuned {} costs {:.0} ns a packet here:", path.display(), recommendation.cost_ns);
    for (name, value) in &recommendation.settings {
        println!("  {name}: {value}");
    }
    for reason in &recommendation.because {
        println!("{reason}");
    }
}

fn compare_files(a: &Path, b: &Path) -> Result<ExitCode> {
    print!("{}", compare(&read(a)?, &read(b)?));
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Results> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    results::read(&text).with_context(|| path.display().to_string())
}

fn sink(interface: &str) -> Result<ExitCode> {
    require_privileges()?;
    let packets = weir_study::sink(interface, |port| {
        eprintln!(
            "weir: counting what a study sends to {interface}; it asks on TCP port {port}. Ctrl-C ends it"
        );
    })?;
    eprintln!("weir: {} packets of studies have arrived on {interface}", crate::text::grouped(packets));
    Ok(ExitCode::SUCCESS)
}
