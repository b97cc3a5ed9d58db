//! What the user can decide.

use crate::policy::Selector;
use crate::{Arguments, ContainerSettings, Dedup, Error, Joining, Namespaces, Naming, Policy, Selection};
use std::time::Duration;
use weir_kernel::Position;
use weir_kubernetes::Options;
use weir_probes::dns::MOST_PORTS;
use weir_probes::flows::Clock;
use weir_probes::flows::rules::Room;

/// How the programs are hung on interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookChoice {
    /// TCX links where the kernel has them, clsact filters elsewhere.
    Auto,
    /// TCX links, or an error.
    Tcx,
    /// clsact filters.
    Clsact,
}

/// Everything that the agent is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Network namespaces to watch; cannot be changed while running.
    pub namespaces: Namespaces,
    /// Interfaces to watch there.
    pub selection: Selection,
    /// Kind of hook.
    pub hook: HookChoice,
    /// Place among other programs.
    pub position: Position,
    /// What is one conversation.
    pub joining: Joining,
    /// Whether packets inside tunnels are flows of their own.
    pub decapsulate: bool,
    /// What is counted, and what is written.
    pub policy: Policy,
    /// What stamps packets; cannot be changed while running.
    pub clock: Clock,
    /// Whether translated addresses are the same conversation; cannot be changed while running.
    pub nat: bool,
    /// Whether drops are watched; cannot be changed while running.
    pub drops: bool,
    /// Whether records say which processes talk; cannot be changed while running.
    pub identity: bool,
    /// Whether the kernel tells what processes run; cannot be changed while running.
    pub processes: bool,
    /// Whether records say how TCP connections fare; cannot be changed while running.
    pub tcp: bool,
    /// How much of their command lines.
    pub arguments: Arguments,
    /// Where names of addresses are taken from; only labels can be changed while running.
    pub naming: Naming,
    /// Who is asked about pods and services; cannot be changed while running.
    pub kubernetes: Options,
    /// How containers get their names; cannot be changed while running.
    pub containers: ContainerSettings,
    /// Time between drains.
    pub interval: Duration,
    /// A flow without packets for this long ends.
    pub idle_timeout: Duration,
    /// A record of a flow that goes on ends after this long.
    pub active_timeout: Duration,
    /// Kernel memory for all maps, in bytes.
    pub memory_budget: u64,
    /// Flows that the table holds; one more is exported at once.
    pub max_flows: usize,
}

/// The kernel counts in 64 bits and ticks in 32, and a grace period takes milliseconds.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

impl Settings {
    /// What a running agent would change to follow `wanted`: a phrase each, in the words of the flags.
    ///
    /// # Errors
    /// One line: a value makes no sense, or a setting needs a restart.
    pub fn changes_to(&self, wanted: &Self) -> Result<Vec<String>, String> {
        wanted.make_sense()?;
        let fixed = [
            ("netns", self.namespaces != wanted.namespaces),
            ("decapsulate", self.decapsulate != wanted.decapsulate),
            ("hook", self.hook != wanted.hook),
            ("attach", self.position != wanted.position),
            ("biflow", self.joining.biflow != wanted.joining.biflow),
            ("dedup", self.joining.dedup != wanted.joining.dedup),
            ("clock", self.clock != wanted.clock),
            ("nat", self.nat != wanted.nat),
            ("drops", self.drops != wanted.drops),
            ("identity", self.identity != wanted.identity),
            ("processes", self.processes != wanted.processes),
            ("tcp", self.tcp != wanted.tcp),
            ("process-arguments", self.arguments != wanted.arguments),
            ("dns", self.naming.dns != wanted.naming.dns),
            ("dns-port", self.naming.dns_ports != wanted.naming.dns_ports),
            ("dns-timeout", self.naming.dns_timeout != wanted.naming.dns_timeout),
            ("hosts-file", self.naming.hosts_file != wanted.naming.hosts_file),
            ("geoip", self.naming.geoip != wanted.naming.geoip),
            ("reverse-dns", self.naming.reverse_dns != wanted.naming.reverse_dns),
            ("kubernetes", self.kubernetes.source != wanted.kubernetes.source),
            ("kubernetes-node", self.kubernetes.node != wanted.kubernetes.node),
            ("container-runtimes", self.containers.runtimes != wanted.containers.runtimes),
            ("container-label", self.containers.labels != wanted.containers.labels),
            ("memory-budget", self.memory_budget != wanted.memory_budget),
        ];
        if let Some((name, _)) = fixed.iter().find(|(_, differs)| *differs) {
            return Err(format!("--{name} cannot change while the agent runs: restart it for that"));
        }
        let pairs = [
            ("interval", format!("{:?}", self.interval), format!("{:?}", wanted.interval)),
            ("idle-timeout", format!("{:?}", self.idle_timeout), format!("{:?}", wanted.idle_timeout)),
            ("active-timeout", format!("{:?}", self.active_timeout), format!("{:?}", wanted.active_timeout)),
            ("max-flows", self.max_flows.to_string(), wanted.max_flows.to_string()),
        ];
        let changed = pairs.into_iter().filter(|(_, old, new)| old != new);
        let mut changes: Vec<_> =
            changed.map(|(name, old, new)| format!("{name} {new} (was {old})")).collect();
        if self.selection != wanted.selection {
            changes.push("interfaces".into());
        }
        if self.policy.rules != wanted.policy.rules {
            let (old, new) = (self.policy.rules.len(), wanted.policy.rules.len());
            changes.push(if old == new {
                format!("rule ({new})")
            } else {
                format!("rule ({new}, were {old})")
            });
        }
        if self.naming.labels != wanted.naming.labels {
            changes.push(format!(
                "label ({}, were {})",
                wanted.naming.labels.len(),
                self.naming.labels.len()
            ));
        }
        if self.policy.filter != wanted.policy.filter {
            changes.push("filter".into());
        }
        Ok(changes)
    }

    /// Whether translations are followed: their two sides are seen at different points, which have to be joined.
    pub(crate) fn follows_nat(&self) -> bool {
        self.nat && self.joining.dedup != Dedup::Off
    }

    /// What a user should know of rules and filter: rules that never match, and the like. As far as it
    /// can be told without an agent: whether they fit into the kernel's memory is seen when they are loaded.
    ///
    /// # Errors
    /// A rule cannot be decided packet by packet, or there are too many.
    pub fn policy_remarks(&self) -> Result<Vec<String>, Error> {
        let room = Room { blocks: u32::MAX, sets: u32::MAX };
        Ok(Selector::new(self.policy.clone(), self.into(), room)?.remarks().to_vec())
    }

    fn make_sense(&self) -> Result<(), String> {
        if !INTERVALS.contains(&self.interval) {
            return Err("--interval must be from 10ms to 60s".into());
        }
        let positive = [
            ("idle-timeout", !self.idle_timeout.is_zero()),
            ("active-timeout", !self.active_timeout.is_zero()),
            ("max-flows", self.max_flows > 0),
            ("dns-timeout", !self.naming.dns_timeout.is_zero()),
        ];
        if !(1..=MOST_PORTS).contains(&self.naming.dns_ports.len()) {
            return Err(format!("--dns-port takes from one to {MOST_PORTS} ports"));
        }
        match positive.iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(format!("--{name} must be more than nothing")),
            None => Ok(()),
        }
    }
}

/// What tests begin with.
#[cfg(test)]
pub(crate) fn sample() -> Settings {
    Settings {
        namespaces: Namespaces::Own,
        selection: Selection::default(),
        hook: HookChoice::Auto,
        position: Position::Head,
        joining: Joining { biflow: true, dedup: Dedup::First },
        decapsulate: false,
        policy: Policy::default(),
        clock: Clock::Tick,
        nat: false,
        drops: false,
        identity: false,
        processes: false,
        tcp: false,
        arguments: Arguments::Hidden,
        naming: Naming {
            dns: false,
            dns_ports: vec![53],
            dns_timeout: Duration::from_secs(5),
            dns_place: (HookChoice::Auto, Position::Head),
            hosts_file: Default::default(),
            labels: Vec::new(),
            geoip: Vec::new(),
            reverse_dns: false,
        },
        kubernetes: Options::default(),
        containers: ContainerSettings::default(),
        interval: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(15),
        active_timeout: Duration::from_secs(60),
        memory_budget: 64 << 20,
        max_flows: 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        sample()
    }

    #[test]
    fn says_what_changes() {
        assert_eq!(settings().changes_to(&settings()), Ok(vec![]));
        let wanted = Settings { interval: Duration::from_millis(250), max_flows: 7, ..settings() };
        let said = settings().changes_to(&wanted).expect("both can change");
        assert_eq!(said, ["interval 250ms (was 1s)", "max-flows 7 (was 1000)"]);
        let names = vec![glob::Pattern::new("eth*").expect("a glob")];
        let selection = Selection { names, ..Selection::default() };
        let policy = Policy { rules: vec!["deny".parse().expect("a rule")], filter: None };
        let said = settings().changes_to(&Settings { selection, policy, ..settings() });
        assert_eq!(said.expect("both can change"), ["interfaces", "rule (1, were 0)"]);
        let labels = vec!["10.0.0.0/8=lab".parse().expect("a label")];
        let naming = Naming { labels, ..settings().naming };
        let said = settings().changes_to(&Settings { naming, ..settings() });
        assert_eq!(said.expect("they can change"), ["label (1, were 0)"]);
        let wanted = Settings {
            idle_timeout: Duration::from_secs(90),
            active_timeout: Duration::from_secs(120),
            ..settings()
        };
        assert_eq!(settings().changes_to(&wanted).expect("both can change").len(), 2);
    }

    #[test]
    fn refuses_nonsense_and_what_needs_a_restart() {
        let refused = |wanted: Settings| settings().changes_to(&wanted).expect_err("refused");
        assert!(
            refused(Settings { interval: Duration::from_millis(9), ..settings() }).contains("--interval")
        );
        assert!(refused(Settings { interval: Duration::from_secs(61), ..settings() }).contains("--interval"));
        assert!(refused(Settings { idle_timeout: Duration::ZERO, ..settings() }).contains("--idle-timeout"));
        assert!(
            refused(Settings { active_timeout: Duration::ZERO, ..settings() }).contains("--active-timeout")
        );
        assert!(refused(Settings { max_flows: 0, ..settings() }).contains("--max-flows"));
        let wanted = Settings { memory_budget: 1, interval: Duration::from_secs(2), ..settings() };
        assert!(refused(wanted).contains("--memory-budget cannot change"));
        assert!(refused(Settings { hook: HookChoice::Tcx, ..settings() }).contains("--hook cannot change"));
        assert!(refused(Settings { clock: Clock::Fine, ..settings() }).contains("--clock cannot change"));
        let kubelet = Options { source: weir_kubernetes::Source::Kubelet, node: None };
        assert!(
            refused(Settings { kubernetes: kubelet, ..settings() }).contains("--kubernetes cannot change")
        );
        assert!(refused(Settings { nat: true, ..settings() }).contains("--nat cannot change"));
        let with_ports = |dns_ports| {
            let naming = Naming { dns_ports, ..settings().naming };
            refused(Settings { naming, ..settings() })
        };
        assert!(
            with_ports(vec![]).contains("from one to 4") && with_ports(vec![5; 5]).contains("from one to 4")
        );
        assert!(with_ports(vec![54]).contains("--dns-port cannot change"));
        let others = Namespaces::Every;
        assert!(refused(Settings { namespaces: others, ..settings() }).contains("--netns cannot change"));
    }
}
