//! The agent's state, for who asks.

use super::Agent;
use super::follow::Watched;
use crate::status::{Cost, Entry, KernelMaps, ProgramRuns, WatchedInterface};
use crate::{Outlet, Status};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::time::Duration;
use weir_kernel::{Hook, stats};
use weir_probes::flows::PROGRAMS;

impl Agent {
    /// Everything that can be said of the agent now; which instance it is, and what is pushed, [`Control`](crate::Control) adds.
    pub fn status(&mut self, outlet: &mut Outlet) -> Status {
        // What the sink has taken since the last drain waits no more.
        self.collect(outlet);
        let layout = self.flows.layout();
        Status {
            instance: 0,
            socket: Default::default(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            hook: match self.hook {
                Hook::Tcx => "tcx".into(),
                Hook::Clsact => "clsact".into(),
            },
            interfaces: self.following.watched.values().map(watched).collect(),
            ledger: self.books.merged_accounts().map(Entry).collect(),
            kernel: KernelMaps {
                memory_bytes: layout.bytes(),
                entries_used: self.entries_used,
                entries: u64::from(layout.cpus) * u64::from(layout.entries_per_cpu),
            },
            flows: self.table.len() as u64,
            drains: self.drains.report(),
            sinks: outlet.states(),
            pushes: Vec::new(),
            identity: self.identity.state(),
            tcp: self.health.state(),
            nat: self.nat.state(&self.table),
            drops: self.drops.state(),
            cost: self.cost(),
            settings: (&self.settings).into(),
        }
    }

    fn cost(&self) -> Cost {
        let of_flows = PROGRAMS.iter().filter_map(|name| stats::runs_of(self.flows.loaded(), name));
        let of_identity = self.identity.programs().filter_map(|(loaded, name)| stats::runs_of(loaded, name));
        let of_drops = self.drops.programs().filter_map(|(loaded, name)| stats::runs_of(loaded, name));
        let of_tcp = self.health.programs().filter_map(|(loaded, name)| stats::runs_of(loaded, name));
        let runs = of_flows.chain(of_identity).chain(of_drops).chain(of_tcp);
        let programs = runs.map(|runs| ProgramRuns {
            name: runs.name,
            id: runs.id,
            runs: runs.count,
            run_time_ns: runs.nanoseconds,
        });
        Cost {
            timed: stats::are_on(),
            programs: programs.collect(),
            cpu_seconds: cpu_time().as_secs_f64(),
            resident_bytes: resident(),
        }
    }
}

fn watched(watched: &Watched) -> WatchedInterface {
    WatchedInterface {
        netns: watched.interface.netns.to_string(),
        own_netns: watched.interface.own_netns,
        interface: watched.interface.name.clone(),
        interface_index: watched.interface.index,
        attached_seconds: watched.since.elapsed().as_secs_f64(),
        programs: watched.hung.len(),
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let time = |time: TimeVal| {
        Duration::from_secs(time.tv_sec().cast_unsigned())
            + Duration::from_micros(time.tv_usec().cast_unsigned())
    };
    getrusage(UsageWho::RUSAGE_SELF)
        .map_or(Duration::ZERO, |usage| time(usage.user_time()) + time(usage.system_time()))
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
