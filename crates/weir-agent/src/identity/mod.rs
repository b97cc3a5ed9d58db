//! Who talks: joins records with the processes, pods and names at their ends.

mod containers;
mod groups;
mod holders;
mod kubernetes;
mod lingering;
mod names;
mod places;
mod portless;
mod process;
mod processes;
mod programs;
mod table;
mod talkers;

use crate::interfaces::Inventory;
use crate::{Result, Settings};
pub use containers::{ContainerSettings, ContainersState, Runtimes, SourceState};
use containers::{Containers, PATIENCE};
pub use holders::holders_of;
use kubernetes::Workloads;
use names::Names;
pub use names::{Label, NamesState, Naming};
pub use process::Arguments;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
pub use table::address;
use talkers::Talkers;
pub use talkers::TalkersState;
use weir_dns::Lookup;
use weir_kernel::{Loaded, SocketOwner, clock};
use weir_kubernetes::KubernetesState;
use weir_probes::flows::{Flows, InterfaceId};
use weir_record::{FlowRecord, ProbeAccount, Process};

/// What it can say of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdentityState {
    /// What it knows of sockets and processes.
    #[serde(flatten)]
    pub talkers: TalkersState,
    /// What it knows of containers.
    pub containers: ContainersState,
    /// What it knows of names.
    pub names: NamesState,
    /// What is known of Kubernetes.
    pub kubernetes: KubernetesState,
}

/// Whose the ends of conversations are. Each source can be had without the others.
pub struct Identity {
    talkers: Talkers,
    containers: Containers,
    names: Names,
    workloads: Workloads,
    /// What a person should know, and was not told yet.
    remarks: Vec<String>,
}

impl Identity {
    /// Opens what is wanted; what cannot be had is left out, and there is a remark why.
    pub fn open(settings: &Settings) -> Self {
        let (mut containers, mut remarks) = Containers::open(settings);
        let (talkers, said) = Talkers::open(settings, |container| containers.meet(container, Instant::now()));
        let (workloads, remark) = Workloads::open(settings);
        remarks.extend(said.into_iter().chain(remark));
        Self { talkers, containers, names: Names::open(&settings.naming), workloads, remarks }
    }

    /// Takes in what the sources have said meanwhile.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self) -> Result<()> {
        self.hear_lookups(&mut |_| ())
    }

    /// The same; `lookups` gets the questions to DNS whose answers, or the lack of them, are known by now.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear_lookups(&mut self, lookups: &mut dyn FnMut(Lookup)) -> Result<()> {
        self.names.hear(lookups)?;
        self.remarks.extend(self.workloads.hear());
        let Self { talkers, containers, .. } = self;
        talkers.hear(|container| containers.meet(container, Instant::now()))?;
        containers.hear();
        Ok(())
    }

    /// How full the fullest ring was found since this was last asked for; more than 1 where more came meanwhile.
    pub fn take_fill(&self) -> f64 {
        self.talkers.take_fill().max(self.names.take_fill())
    }

    /// The process that the kernel means. Its container is asked for.
    pub fn process(&mut self, owner: &SocketOwner) -> Arc<Process> {
        let Self { talkers, containers, .. } = self;
        talkers.process(owner, |container| containers.meet(container, Instant::now()))
    }

    /// Waits a moment for the names of containers that were just heard of for the first time.
    pub fn settle(&mut self) {
        self.containers.settle(PATIENCE);
    }

    /// Where addresses are from now on.
    pub fn place(&mut self, inventory: &Inventory) {
        self.talkers.place(inventory);
    }

    /// Hears DNS from the flow probe, if that hands it on.
    pub fn hear_from(&mut self, flows: &mut Flows) {
        self.names.hear_from(flows);
    }

    /// Listens to DNS at the interfaces that are `wanted`, and no longer at others. Whether there is more to do, at once.
    pub fn post(&mut self, inventory: &Inventory, wanted: impl Fn(InterfaceId) -> bool) -> bool {
        self.names.post(inventory, wanted)
    }

    /// Looks where DNS is still listened to: an interface that seems to be the same may be another one.
    pub fn look_again(&mut self, inventory: &Inventory) {
        self.names.look_again(inventory);
    }

    /// Messages of DNS that did not get through.
    pub fn lost_lookups(&self) -> u64 {
        self.names.lost()
    }

    /// Forgets who is gone.
    pub fn expire(&mut self) {
        self.talkers.expire();
        self.names.expire();
        self.workloads.expire();
    }

    /// Follows settings that can change.
    pub fn change(&mut self, settings: &Settings) {
        self.names.relabel(&settings.naming.labels);
    }

    /// What there is to be said since the last time.
    pub fn remarks(&mut self) -> Vec<String> {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.extend(self.names.remarks());
        remarks
    }

    /// Enters who is at both ends.
    pub fn attribute(&self, record: &mut FlowRecord) {
        self.identify(record, [None, None]);
    }

    /// Enters who is at both ends, where these processes of source and destination are known.
    pub fn identify(&self, record: &mut FlowRecord, [source, destination]: [Option<Arc<Process>>; 2]) {
        self.talkers.attribute(record);
        record.source.process = source.or(record.source.process.take());
        record.destination.process = destination.or(record.destination.process.take());
        self.containers.attribute(record);
        // A pod is told by its process first.
        self.workloads.attribute(record);
        self.names.attribute(record, |address, time| self.workloads.name(address, time));
    }

    /// What can be said of it; nothing where it is off.
    pub fn state(&self) -> IdentityState {
        IdentityState {
            talkers: self.talkers.state(),
            containers: self.containers.state(),
            names: self.names.state(),
            kubernetes: self.workloads.state(),
        }
    }

    /// What the probes have told, and what of it was lost.
    pub fn accounts(&self) -> impl Iterator<Item = ProbeAccount> {
        self.talkers.accounts().chain(self.names.account())
    }

    /// The objects of the probes and the names of their programs, for statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        self.talkers.programs().chain(self.names.programs())
    }
}

/// Nanoseconds since the Unix epoch.
pub fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// When the monotonic clock began, as far as the clock on the wall is right: nanoseconds since the Unix epoch.
///
/// # Errors
/// The kernel does not say what time it is.
pub fn booted() -> Result<u64> {
    Ok(unix_now().saturating_sub(clock::monotonic()?.as_nanos() as u64))
}
