//! Runs the `weir` binary in a namespace and collects all that it says.

use crate::control;
use crate::conversation::Conversation;
use crate::lines::Lines;
use crate::netns::Namespace;
use crate::output::{Count, Flow, Ledger, Line, Probe, Sink};
use crate::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A weir that comes up.
const START: Duration = Duration::from_secs(20);
/// A weir that drains for the last time and writes it all.
const STOP: Duration = Duration::from_secs(60);

/// `$WEIR_BIN`, or the binary that cargo put beside this test, or the release one.
pub fn binary() -> PathBuf {
    let beside = env::current_exe().expect("a test has a path");
    let profile = beside.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let places = [profile.join("weir"), profile.with_file_name("release").join("weir")];
    let found =
        env::var_os("WEIR_BIN").map(PathBuf::from).or_else(|| places.into_iter().find(|path| path.exists()));
    found.unwrap_or_else(|| {
        panic!("no weir binary in {}: build it, or name it in WEIR_BIN", profile.display())
    })
}

/// One record for each direction at each observation point: what is counted where, bare.
const APART: [&str; 5] = ["run", "--biflow", "off", "--dedup", "off"];

/// Network namespace, interface, direction, and whether it is what tunnels carry.
type Place<'a> = (&'a str, &'a str, &'a str, bool);

/// A running agent; killed on drop.
pub struct Agent {
    child: Child,
    unread: Option<ChildStdout>,
    stdout: Option<Lines>,
    stderr: Option<Lines>,
}

/// All that an agent has said, once it is gone.
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// Every flow record, in order.
    pub flows: Vec<Flow>,
    /// The same, as conversations.
    pub conversations: Vec<Conversation>,
    /// The ledger: one entry per observation point and direction.
    pub ledgers: Vec<Ledger>,
    /// What the other probes have told.
    pub probes: Vec<Probe>,
    /// What has become of the records at the sinks that do not print them.
    pub sinks: Vec<Sink>,
    /// Its messages.
    pub stderr: Vec<String>,
}

impl Agent {
    /// Runs `weir run` with further arguments, and waits until it is attached. Nothing is joined.
    pub fn start(namespace: &Namespace, args: &[&str]) -> Self {
        let mut agent = Self::start_unread(namespace, args);
        agent.read();
        agent
    }

    /// As [`Agent::start`], but with directions and observation points joined as by default.
    pub fn start_joined(namespace: &Namespace, args: &[&str]) -> Self {
        let mut agent = Self::start_command(namespace, &[&["run", "-o", "json"], args].concat());
        agent.read();
        agent
    }

    /// As [`Agent::start`], but nobody reads what it writes until [`Agent::read`] is called.
    pub fn start_unread(namespace: &Namespace, args: &[&str]) -> Self {
        Self::start_command(namespace, &[&APART, args].concat())
    }

    /// As [`Agent::start_unread`], but with a subcommand of the caller's choice.
    pub fn start_command(namespace: &Namespace, args: &[&str]) -> Self {
        Self::start_under(namespace, &[], args)
    }

    /// As [`Agent::start_command`], under a command that executes it.
    pub fn start_under(namespace: &Namespace, wrapper: &[&str], args: &[&str]) -> Self {
        let mut agent = Self::spawn(namespace, wrapper, args);
        let Self { child, stderr, .. } = &mut agent;
        let stderr = stderr.as_ref().expect("its messages are read");
        wait_for("weir attaches", START, || {
            let exited = child.try_wait().expect("weir is ours").is_some();
            stderr.look(|lines| {
                let attached = lines.iter().any(|line| line.starts_with("weir: attached"));
                assert!(attached || !exited, "weir ended before it was attached: {lines:?}");
                attached.then_some(())
            })
        });
        agent
    }

    /// Runs `weir` with these very arguments to its end. `wrapper` is a command to run it
    /// under, such as one that takes privileges away.
    pub fn run(
        namespace: &Namespace,
        wrapper: &[&str],
        args: &[&str],
    ) -> (ExitStatus, Vec<String>, Vec<String>) {
        let mut agent = Self::spawn(namespace, wrapper, args);
        agent.read();
        let status = agent.wait_for_exit();
        (status, agent.stdout.take().expect("read").finish(), agent.stderr.take().expect("read").finish())
    }

    fn spawn(namespace: &Namespace, wrapper: &[&str], args: &[&str]) -> Self {
        let binary = binary();
        let mut command = match wrapper {
            [] => Command::new(binary),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(binary);
                command
            }
        };
        // What a test does not ask for is not kept: not where the host's own agent keeps it.
        command.env("WEIR_DATA_DIR", "none");
        command.env("WEIR_LISTEN", "none");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            namespace.enter(|| command.spawn()).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = child.stderr.take().map(Lines::of);
        Self { unread: child.stdout.take(), child, stdout: None, stderr }
    }

    /// Starts to read what it writes.
    pub fn read(&mut self) {
        self.stdout = self.unread.take().map(Lines::of);
    }

    /// Closes the reading end of a pipe that nobody has started to read.
    pub fn close_stdout(&mut self) {
        self.unread = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("weir runs");
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        control::socket_of(self.pid()).expect("the agent has a control socket")
    }

    /// The line with which it started.
    pub fn start_line(&self) -> String {
        let attached =
            |lines: &[String]| lines.iter().find(|line| line.starts_with("weir: attached")).cloned();
        self.stderr.as_ref().and_then(|stderr| stderr.look(attached)).expect("it has started")
    }

    /// Waits for a line of its own that contains `words`.
    pub fn wait_for_line(&self, words: &str, timeout: Duration) -> String {
        let stderr = self.stderr.as_ref().expect("its messages are read");
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(words)).cloned();
        wait_for(words, timeout, || stderr.look(find))
    }

    /// Waits for a record that `wanted` likes.
    pub fn wait_for_flow(&self, what: &str, timeout: Duration, wanted: impl Fn(&Flow) -> bool) -> Flow {
        let stdout = self.stdout.as_ref().expect("its output is read");
        let find = |lines: &[String]| {
            lines.iter().find_map(|line| match Line::read(line) {
                Line::Flow(flow) if wanted(&flow) => Some(*flow),
                _ => None,
            })
        };
        wait_for(what, timeout, || stdout.look(find))
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("weir runs");
        self.child.wait().expect("weir is gone");
        control::tidy(self.pid());
    }

    /// `kill -9`, and whatever it leaves behind stays.
    pub fn kill_untidily(mut self) {
        self.child.kill().expect("weir runs");
        self.child.wait().expect("weir is gone");
    }

    /// Asks it to stop and returns all that it has said. It must have stopped in order.
    pub fn stop(self) -> Outcome {
        self.stop_with(Signal::SIGINT)
    }

    /// As [`Agent::stop`], with a signal of the caller's choice.
    pub fn stop_with(self, signal: Signal) -> Outcome {
        self.signal(signal);
        self.wait()
    }

    /// Asks it to stop and returns the lines that it has written, whatever they are.
    pub fn stop_and_read(mut self) -> Vec<String> {
        self.signal(Signal::SIGINT);
        self.wait_for_exit();
        self.stdout.take().map(Lines::finish).unwrap_or_default()
    }

    /// Waits until it stops by itself, in order.
    pub fn wait(self) -> Outcome {
        let outcome = self.wait_however();
        assert!(outcome.status.success(), "{}: {:?}", outcome.status, outcome.stderr);
        outcome
    }

    /// As [`Agent::stop`], whatever its exit code.
    pub fn stop_however(self) -> Outcome {
        self.signal(Signal::SIGINT);
        self.wait_however()
    }

    fn wait_however(mut self) -> Outcome {
        let status = self.wait_for_exit();
        let stderr = self.stderr.take().map(Lines::finish).unwrap_or_default();
        let (flows, conversations, ledgers, probes, sinks) = Default::default();
        let mut outcome = Outcome { status, flows, conversations, ledgers, probes, sinks, stderr };
        for line in self.stdout.take().map(Lines::finish).unwrap_or_default() {
            match Line::read(&line) {
                Line::Flow(flow) => {
                    outcome.conversations.push(Conversation::read(&line));
                    outcome.flows.push(*flow);
                }
                Line::Ledger(ledger) => outcome.ledgers.push(ledger),
                Line::Probe(probe) => outcome.probes.push(probe),
                Line::Sink(sink) => outcome.sinks.push(sink),
            }
        }
        outcome
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for("weir stops", STOP, || self.child.try_wait().expect("weir is ours"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        let _ = self.child.kill();
        let _ = self.child.wait();
        if running {
            control::tidy(self.pid());
        }
    }
}

impl Outcome {
    /// The ledger of one observation point and direction.
    pub fn ledger(&self, interface: &str, direction: &str) -> &Ledger {
        let mut matching = self
            .ledgers
            .iter()
            .filter(|ledger| (&*ledger.interface, &*ledger.direction) == (interface, direction));
        let ledger = matching
            .next()
            .unwrap_or_else(|| panic!("no ledger of {interface} {direction}: {:?}", self.ledgers));
        assert!(matching.next().is_none(), "{interface} {direction} has two ledgers: {:?}", self.ledgers);
        ledger
    }

    /// The records of one observation point and direction.
    pub fn flows(&self, interface: &str, direction: &str) -> impl Iterator<Item = &Flow> {
        self.flows.iter().filter(move |flow| (&*flow.interface, &*flow.direction) == (interface, direction))
    }

    /// The ledgers of one observation point: network namespace, interface and direction.
    pub fn ledgers_of<'a>(&'a self, place: (&'a str, &'a str, &'a str)) -> impl Iterator<Item = &'a Ledger> {
        self.ledgers.iter().filter(move |one| (&*one.netns, &*one.interface, &*one.direction) == place)
    }

    /// The records of one observation point: network namespace, interface and direction.
    pub fn flows_of<'a>(&'a self, place: (&'a str, &'a str, &'a str)) -> impl Iterator<Item = &'a Flow> {
        self.flows.iter().filter(move |one| (&*one.netns, &*one.interface, &*one.direction) == place)
    }

    /// What must be true after every run, whatever happened in it: each ledger balances by
    /// its own word and by our arithmetic, its losses have causes, and the records that we
    /// have read are what it says was exported.
    pub fn assert_books(&self) {
        self.assert_observed();
        for direction in ["ingress", "egress"] {
            let of = |one: &&Ledger| one.direction == direction;
            let exported: Count = self.ledgers.iter().filter(of).map(|ledger| ledger.exported).sum();
            let flows = self.flows.iter().filter(|flow| flow.direction == direction);
            assert_eq!(flows.map(Flow::count).sum::<Count>(), exported, "all {direction} records");
        }
        for flow in &self.flows {
            assert!(flow.packets > 0, "{flow:?}");
        }
    }

    /// As [`Outcome::assert_books`], where a record may stand for several points and directions:
    /// it is their observations that are exported.
    pub fn assert_observed(&self) {
        assert!(!self.ledgers.is_empty(), "no ledger; stderr: {:?}", self.stderr);
        // An interface that has come again under its name can have a ledger that is closed, too.
        let mut exported: BTreeMap<Place<'_>, Count> = BTreeMap::new();
        for ledger in &self.ledgers {
            let Ledger { balanced, seen, held, lost, lost_by, .. } = ledger;
            assert!(balanced, "{ledger:?}");
            let left_out = ledger.filtered + ledger.sampled_out;
            assert_eq!(*seen, ledger.exported + *held + left_out + *lost, "{ledger:?}");
            assert_eq!(*held, Count::default(), "{ledger:?}");
            assert_eq!(*lost, lost_by.values().copied().sum(), "{ledger:?}");
            let of =
                exported.entry((&ledger.netns, &ledger.interface, &ledger.direction, ledger.decapsulated));
            let sum = of.or_default();
            *sum = *sum + ledger.exported;
        }
        let mut observed: BTreeMap<Place<'_>, Count> = BTreeMap::new();
        for seen in self.conversations.iter().flat_map(|one| &one.observations) {
            let of = observed.entry((&seen.netns, &seen.interface, &seen.direction, seen.decapsulated));
            let sum = of.or_default();
            *sum = *sum + seen.count;
        }
        exported.retain(|_, count| *count != Count::default());
        // Of places that are long gone only the sum is kept.
        if !self.ledgers.iter().any(|ledger| ledger.interface == "(gone before)") {
            assert_eq!(observed, exported, "observations read against what was exported");
        }
        let total = |of: &BTreeMap<_, Count>| of.values().copied().sum::<Count>();
        assert_eq!(total(&observed), total(&exported), "all observations");
        for flow in &self.flows {
            assert!(flow.start <= flow.end, "{flow:?}");
        }
    }

    /// As [`Outcome::assert_books`], and nothing was lost.
    pub fn assert_exact(&self) {
        self.assert_books();
        for ledger in &self.ledgers {
            assert_eq!(ledger.lost, Count::default(), "{ledger:?}");
        }
    }
}
