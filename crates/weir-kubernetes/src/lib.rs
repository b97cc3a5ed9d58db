//! What Kubernetes says of the addresses and pods that talk.
//!
//! ```text
//! API server ──► follower (a thread per kind of object) ──► channel ──► knowledge ──► workloads
//!                list, then watch                           bounded     what held when
//! ```
//!
//! Followers do all that can take time. Whoever asks [`Kubernetes`] looks things up in memory, and takes in what
//! was heard meanwhile between two questions.

mod access;
mod client;
mod error;
mod follow;
mod knowledge;
mod kubeconfig;
mod objects;
mod register;
mod resource;
mod state;
mod words;
mod yaml;

pub use error::Failure;
pub use knowledge::{Sought, Span};
pub use state::KubernetesState;

use access::Access;
use follow::{Heard, News, Rest};
use knowledge::Knowledge;
use resource::Resource;
use state::Links;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use weir_record::Workload;

/// What was heard and not taken in yet. Then followers wait, and the server with them.
const QUEUE: usize = 4096;

/// Who is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// The API server of the cluster in which the agent is a pod, if it is one.
    #[default]
    Auto,
    /// Nobody.
    Off,
    /// The kubelet of this node: its own pods only.
    Kubelet,
    /// The API server that a kubeconfig file names.
    File(PathBuf),
}

/// Who is asked, and about which node in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Who is asked.
    pub source: Source,
    /// What this node is called; without it `NODE_NAME`, else the host's name.
    pub node: Option<String>,
}

impl Options {
    fn node(&self) -> String {
        let host = || nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().to_lowercase());
        let variable = || std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty());
        self.node.clone().or_else(variable).or_else(host).unwrap_or_default()
    }
}

/// What is known, and who keeps telling.
pub struct Kubernetes {
    heard: Receiver<Heard>,
    knowledge: Knowledge,
    links: Links,
    node: String,
}

impl Kubernetes {
    /// Starts to follow; none where nobody is to be asked. What has ended is remembered for `linger`.
    ///
    /// # Errors
    /// What it needs to ask cannot be read. That nobody answers is no error: it is tried again.
    pub fn start(options: &Options, linger: Duration) -> Result<Option<Self>, Failure> {
        let node = options.node();
        let access = match &options.source {
            Source::Off => None,
            Source::Auto => access::in_cluster(),
            Source::Kubelet => Some(access::kubelet(&node, Path::new(access::KUBELET_CERTIFICATE))),
            Source::File(path) => Some(kubeconfig::read(path)?),
        };
        let Some(access) = access else { return Ok(None) };
        Self::follow(access, node, linger, &(Arc::new(thread::sleep) as Rest)).map(Some)
    }

    fn follow(access: Access, node: String, linger: Duration, rest: &Rest) -> Result<Self, Failure> {
        let (tell, heard) = sync_channel(QUEUE);
        let resources = access.resources();
        let links = Links::new(access.server.clone(), resources);
        follow::start(access, &node, &tell, rest)?;
        Ok(Self { heard, knowledge: Knowledge::new(linger), links, node })
    }

    /// Takes in what was heard, at most as much as the queue holds. What a person should know, in a line each.
    pub fn hear(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..QUEUE {
            let Ok(Heard { resource, news }) = self.heard.try_recv() else { break };
            match news {
                News::Listing => self.knowledge.listing(resource),
                News::Object(facts) => self.knowledge.object(resource, facts),
                News::Gone(uid) => self.knowledge.gone(resource, &uid),
                News::Listed => {
                    self.knowledge.listed(resource);
                    lines.extend(self.doubt(resource));
                }
                News::Following => self.links.up(resource),
                News::Failed(failure) => lines.extend(self.links.down(resource, &failure)),
            }
        }
        lines
    }

    /// Whether this node is called otherwise than we think.
    fn doubt(&self, resource: Resource) -> Option<String> {
        let is_there = resource != Resource::Nodes || self.knowledge.has_node(&self.node);
        (!is_there).then(|| {
            format!(
                "kubernetes: no node is called {}: give this one's name with --kubernetes-node",
                self.node
            )
        })
    }

    /// Forgets what has ended long ago.
    pub fn expire(&mut self) {
        self.knowledge.expire(Instant::now());
    }

    /// What an end of a conversation is.
    #[must_use]
    pub fn workload(&self, sought: &Sought<'_>) -> Option<Workload> {
        self.knowledge.workload(sought)
    }

    /// What an address was called then.
    #[must_use]
    pub fn name(&self, address: IpAddr, span: Span) -> Option<String> {
        self.knowledge.name(address, span)
    }

    /// What can be said of it.
    #[must_use]
    pub fn state(&self) -> KubernetesState {
        self.links.state(&self.knowledge)
    }
}

#[cfg(test)]
mod tests;
