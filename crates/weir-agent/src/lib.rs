//! Weir's pipeline: the kernel's aggregates in, batches of flow records out.
//!
//! ```text
//! probe ──► drain ──► conversations ──► records ──► outlet (queue, thread) ──► sink
//!             │             │                          │
//!             └─────────────┴────── books ────────────┘
//! ```
//!
//! One thread drains, merges and keeps the books; each sink has a thread of its own, which a
//! slow reader can stop without stopping the drain. What the agent is asked while it runs comes in
//! through [`Control`].

mod agent;
mod books;
#[cfg(test)]
mod bursts;
mod control;
mod conversations;
mod decode;
mod dns;
mod drops;
mod durations;
mod error;
mod hellos;
mod identity;
mod interfaces;
mod left;
mod nat;
#[cfg(test)]
mod nested;
mod netlink;
mod outlet;
mod policy;
mod posts;
mod rows;
mod settings;
mod snapshot;
mod status;
mod tcp;
mod trace;
#[cfg(test)]
mod tunnels;
mod why;
#[cfg(test)]
mod witness;

pub use agent::{Agent, Moment, OnLookup, Report, Start, reloaded};
pub use books::{Books, Kept, LOST_EVENTS, Notify};
pub use control::{
    Answer, Control, Flows, Instance, Mark, PROTOCOL, Reload, Reply, Request, Unanswered, Unclaimed, Wanted,
    ask, ask_flows, sockets,
};
pub use conversations::{Dedup, Joining, LiveFlow};
pub use dns::DnsState;
pub use drops::{DropReason, DropsState};
pub use durations::Durations;
pub use error::{Error, Result};
pub use identity::{
    Arguments, ContainerSettings, ContainersState, IdentityState, Label, NamesState, Naming, Runtimes,
    SourceState, unix_now,
};
pub use interfaces::{KindRule, Namespaces, Selection};
pub use left::{forget, seen_since};
pub use nat::NatState;
pub use outlet::{Closing, Outlet, Sink};
pub use policy::Policy;
pub use posts::PostPlace;
pub use settings::{HookChoice, Settings};
pub use snapshot::{Fared, Snapshot, Socket, SocketState, owner};
pub use status::{
    Cost, Drains, Effective, Entry, KernelMaps, ProgramRuns, SinkState, Status, WatchedInterface,
};
pub use tcp::{HealthState, turned_away};
pub use trace::{Told, Tracer};
pub use weir_kubernetes::{KubernetesState, Options as KubernetesOptions, Source as KubernetesSource};
pub use why::{Failed, Watched, WatchedSocket};
