//! Who the processes are that have sockets open now: asked once, with nothing heard from the kernel.

use super::containers::Containers;
use super::kubernetes::by_runtime;
use super::processes::Processes;
use crate::Settings;
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::SocketOwner;
use weir_record::{End, Process};

/// The same sources as those of records, but for what takes time to know: names of addresses, and Kubernetes.
pub struct Holders {
    processes: Processes,
    containers: Containers,
    /// One for each process, by its number.
    ends: HashMap<u32, Arc<End>>,
}

impl Holders {
    /// Knows nobody yet; and what a user should know of runtimes that do not answer.
    pub fn open(settings: &Settings) -> (Self, Vec<String>) {
        let (containers, remarks) = Containers::open(settings);
        // Nobody is forgotten while the snapshot is taken.
        let processes = Processes::new(usize::MAX, settings.arguments);
        (Self { processes, containers, ends: HashMap::new() }, remarks)
    }

    /// The process that the kernel means. Its container is asked for.
    pub fn of(&mut self, owner: &SocketOwner) -> Arc<Process> {
        let process = self.processes.of(owner);
        if let Some(container) = &process.container {
            self.containers.meet(container, Instant::now());
        }
        process
    }

    /// Waits for the names of containers, but no longer than this.
    pub fn settle(&mut self, patience: Duration) {
        self.containers.settle(patience);
    }

    /// All that is known of it by now.
    pub fn end(&mut self, process: &Arc<Process>) -> Arc<End> {
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
