//! Who the processes are that have sockets open now: asked once, with nothing heard from the kernel.

use super::containers::Containers;
use super::kubernetes::by_runtime;
use super::processes::Processes;
use crate::Settings;
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::SocketOwner;
use weir_probes::holders;
use weir_record::{End, Process};

/// Who has the sockets open now whose inodes are `wanted`, the oldest first; and what a user should know. The names of
/// containers are waited for, but no longer than `patience`. Where the kernel does not tell, nobody has any.
pub fn holders_of(
    settings: &Settings,
    wanted: impl Fn(u64) -> bool,
    patience: Duration,
) -> (HashMap<u64, Vec<Arc<End>>>, Vec<String>) {
    let all = match holders::now() {
        Ok(all) => all,
        Err(error) => return (HashMap::new(), vec![format!("processes stay unknown: {error}")]),
    };
    let (mut identity, remarks) = Holders::open(settings);
    let mut processes: HashMap<u64, Vec<Arc<Process>>> = HashMap::new();
    for holder in all.iter().filter(|holder| wanted(holder.inode)) {
        let process = identity.of(&holder.owner);
        let held = processes.entry(holder.inode).or_default();
        // It may have it open several times.
        if !held.contains(&process) {
            held.push(process);
        }
    }
    identity.containers.settle(patience);
    let mut ends = |mut held: Vec<Arc<Process>>| -> Vec<Arc<End>> {
        held.sort_by_key(|process| (process.started, process.pid));
        held.iter().map(|process| identity.end(process)).collect()
    };
    (processes.into_iter().map(|(inode, held)| (inode, ends(held))).collect(), remarks)
}

/// The same sources as those of records, but for what takes time to know: names of addresses, and Kubernetes.
struct Holders {
    processes: Processes,
    containers: Containers,
    /// One for each process, by its number.
    ends: HashMap<u32, Arc<End>>,
}

impl Holders {
    /// Knows nobody yet; and what a user should know of runtimes that do not answer.
    fn open(settings: &Settings) -> (Self, Vec<String>) {
        let (containers, remarks) = Containers::open(settings);
        // Nobody is forgotten while the snapshot is taken.
        let processes = Processes::new(usize::MAX, settings.arguments);
        (Self { processes, containers, ends: HashMap::new() }, remarks)
    }

    /// The process that the kernel means. Its container is asked for.
    fn of(&mut self, owner: &SocketOwner) -> Arc<Process> {
        let process = self.processes.of(owner);
        if let Some(container) = &process.container {
            self.containers.meet(container, Instant::now());
        }
        process
    }

    /// All that is known of it by now.
    fn end(&mut self, process: &Arc<Process>) -> Arc<End> {
        let containers = &self.containers;
        let end = self.ends.entry(process.pid).or_insert_with(|| {
            let container = process.container.as_ref().and_then(|container| containers.details(container));
            let mut end = End { process: Some(Arc::clone(process)), container, ..End::default() };
            end.workload = by_runtime(&end).map(Arc::new);
            Arc::new(end)
        });
        Arc::clone(end)
    }
}
