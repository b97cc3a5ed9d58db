//! The settings that flags make.

use super::{Arguments, ClockName, DedupName, HookName, Place, Switch};
use crate::options;
use clap::{Args, FromArgMatches};
use weir_agent::{
    ContainerSettings, Dedup, HookChoice, Joining, KubernetesOptions, Naming, Policy, Selection, Settings,
};
use weir_kernel::Position;
use weir_probes::flows::Clock;

/// The settings of `weir run` with these flags.
pub fn settings_with(flags: &[&str]) -> Result<Settings, clap::Error> {
    let command = Arguments::augment_args(clap::Command::new("run").no_binary_name(true));
    Ok(settings(Arguments::from_arg_matches(&command.try_get_matches_from(flags)?)?))
}

/// The settings that these flags make.
pub fn settings(arguments: Arguments) -> Settings {
    let hook = match arguments.hook {
        HookName::Auto => HookChoice::Auto,
        HookName::Tcx => HookChoice::Tcx,
        HookName::Clsact => HookChoice::Clsact,
    };
    let position = match arguments.attach {
        Place::Head => Position::Head,
        Place::Tail => Position::Tail,
    };
    Settings {
        namespaces: options::namespaces(arguments.all_netns, arguments.netns),
        selection: Selection {
            names: arguments.interface,
            except: arguments.exclude_interface,
            kinds: arguments.interface_kind,
            addresses: arguments.interface_address,
        },
        hook,
        position,
        joining: Joining {
            biflow: arguments.biflow == Switch::On,
            dedup: match arguments.dedup {
                DedupName::Off => Dedup::Off,
                DedupName::First => Dedup::First,
                DedupName::Outer => Dedup::Outer,
                DedupName::Inner => Dedup::Inner,
            },
        },
        decapsulate: arguments.decapsulate,
        policy: Policy { rules: arguments.rule, filter: arguments.filter },
        clock: match arguments.clock {
            ClockName::Tick => Clock::Tick,
            ClockName::Fine => Clock::Fine,
        },
        nat: arguments.nat == Switch::On,
        drops: arguments.drops == Switch::On,
        identity: arguments.identity == Switch::On,
        processes: arguments.processes == Switch::On,
        tcp: arguments.tcp == Switch::On,
        arguments: match arguments.process_arguments {
            0 => weir_agent::Arguments::Hidden,
            most => weir_agent::Arguments::UpTo(most as usize),
        },
        naming: Naming {
            dns: arguments.dns == Switch::On,
            dns_ports: arguments.dns_port,
            dns_timeout: arguments.dns_timeout,
            dns_place: (hook, position),
            hosts_file: arguments.hosts_file,
            labels: arguments.label,
            geoip: arguments.geoip,
            reverse_dns: arguments.reverse_dns == Switch::On,
        },
        kubernetes: KubernetesOptions { source: arguments.kubernetes, node: arguments.kubernetes_node },
        containers: ContainerSettings {
            runtimes: arguments.container_runtimes,
            labels: arguments.container_label,
        },
        interval: arguments.interval,
        idle_timeout: arguments.idle_timeout,
        active_timeout: arguments.active_timeout,
        memory_budget: arguments.memory_budget,
        max_flows: arguments.max_flows as usize,
    }
}
