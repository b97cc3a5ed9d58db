//! How the connection is, as `weir status` shows it.

use crate::error::Failure;
use crate::knowledge::Knowledge;
use crate::resource::Resource;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What can be said of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KubernetesState {
    /// Who is asked; empty where nobody is.
    pub server: String,
    /// Whether every change is told.
    pub connected: bool,
    /// Since when it is so.
    pub since_seconds: f64,
    /// What is wrong, or was last.
    pub last_error: Option<String>,
    /// Pods that are known.
    pub pods: u64,
    /// Services that are known.
    pub services: u64,
    /// Nodes that are known.
    pub nodes: u64,
    /// How often an object was left out, for want of room.
    pub left_out: u64,
}

/// How one follower fares.
#[derive(Debug)]
struct Link {
    resource: Resource,
    /// What is wrong; none while nothing is, or nothing has happened yet.
    trouble: Option<String>,
    is_up: bool,
}

/// How they all fare.
#[derive(Debug)]
pub struct Links {
    server: String,
    links: Vec<Link>,
    was_up: bool,
    since: Instant,
    last_error: Option<String>,
}

impl Links {
    /// Not connected yet.
    pub fn new(server: String, resources: &[Resource]) -> Self {
        let of = |&resource: &Resource| Link { resource, trouble: None, is_up: false };
        let links = resources.iter().map(of).collect();
        Self { server, links, was_up: false, since: Instant::now(), last_error: None }
    }

    /// One works.
    pub fn up(&mut self, resource: Resource) {
        for link in self.links.iter_mut().filter(|link| link.resource == resource) {
            (link.trouble, link.is_up) = (None, true);
        }
        self.turn();
    }

    /// One does not. A line, unless that was said already: what is wrong with the server is wrong for all of them.
    pub fn down(&mut self, resource: Resource, failure: &Failure) -> Option<String> {
        let trouble = failure.to_string();
        let was_said = self.links.iter().any(|link| link.trouble.as_ref() == Some(&trouble));
        for link in self.links.iter_mut().filter(|link| link.resource == resource) {
            (link.trouble, link.is_up) = (Some(trouble.clone()), false);
        }
        self.turn();
        let line = format!("kubernetes: {trouble}; records go on with what is known");
        self.last_error = Some(trouble);
        (!was_said).then_some(line)
    }

    fn is_up(&self) -> bool {
        self.links.iter().all(|link| link.is_up)
    }

    fn turn(&mut self) {
        if self.is_up() != self.was_up {
            (self.was_up, self.since) = (!self.was_up, Instant::now());
        }
    }

    /// As it is now.
    pub fn state(&self, knowledge: &Knowledge) -> KubernetesState {
        let trouble = self.links.iter().find_map(|link| link.trouble.clone());
        KubernetesState {
            server: self.server.clone(),
            connected: self.is_up(),
            since_seconds: self.since.elapsed().as_secs_f64(),
            last_error: trouble.or_else(|| self.last_error.clone()),
            pods: knowledge.count(Resource::PodsHere) + knowledge.count(Resource::PodsElsewhere),
            services: knowledge.count(Resource::Services),
            nodes: knowledge.count(Resource::Nodes),
            left_out: knowledge.left_out(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_said_once_until_it_is_over() {
        let mut links = Links::new("https://s".into(), &[Resource::PodsHere, Resource::Nodes]);
        let unreachable = Failure::Unreachable { server: "https://s".into(), cause: "refused".into() };
        let said = links.down(Resource::PodsHere, &unreachable).expect("news");
        assert_eq!(said, "kubernetes: cannot reach https://s: refused; records go on with what is known");
        assert_eq!(links.down(Resource::Nodes, &unreachable), None);
        assert_eq!(links.down(Resource::PodsHere, &unreachable), None);
        links.up(Resource::PodsHere);
        assert!(!links.is_up());
        let forbidden = Failure::Forbidden { resource: "nodes" };
        assert!(links.down(Resource::Nodes, &forbidden).is_some_and(|line| line.contains("nodes (403)")));
        links.up(Resource::Nodes);
        let state = links.state(&Knowledge::new(std::time::Duration::ZERO));
        assert!(state.connected && state.last_error.is_some_and(|error| error.contains("nodes")));
        assert!(links.down(Resource::Nodes, &unreachable).is_some());
    }
}
