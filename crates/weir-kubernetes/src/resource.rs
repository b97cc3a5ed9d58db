//! What the server is asked for.

/// Kinds of objects, each followed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Pods of this node.
    PodsHere,
    /// All other pods: their addresses.
    PodsElsewhere,
    /// Services: their addresses.
    Services,
    /// Which pods services lead to.
    EndpointSlices,
    /// Nodes: their zones.
    Nodes,
    /// What Deployments make pods by.
    ReplicaSets,
    /// What CronJobs make pods by.
    Jobs,
}

impl Resource {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::PodsHere,
        Self::PodsElsewhere,
        Self::Services,
        Self::EndpointSlices,
        Self::Nodes,
        Self::ReplicaSets,
        Self::Jobs,
    ];

    /// What it is called, as in roles.
    pub fn name(self) -> &'static str {
        match self {
            Self::PodsHere | Self::PodsElsewhere => "pods",
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices.discovery.k8s.io",
            Self::Nodes => "nodes",
            Self::ReplicaSets => "replicasets.apps",
            Self::Jobs => "jobs.batch",
        }
    }

    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::PodsHere | Self::PodsElsewhere => "/api/v1/pods",
            Self::Services => "/api/v1/services",
            Self::EndpointSlices => "/apis/discovery.k8s.io/v1/endpointslices",
            Self::Nodes => "/api/v1/nodes",
            Self::ReplicaSets => "/apis/apps/v1/replicasets",
            Self::Jobs => "/apis/batch/v1/jobs",
        }
    }

    /// Which of them.
    pub fn selector(self, node: &str) -> Option<String> {
        match self {
            Self::PodsHere => Some(format!("spec.nodeName={node}")),
            Self::PodsElsewhere => Some(format!("spec.nodeName!={node}")),
            _ => None,
        }
    }

    /// Whether their metadata is all that is wanted.
    pub fn is_metadata_only(self) -> bool {
        matches!(self, Self::Nodes | Self::ReplicaSets | Self::Jobs)
    }

    /// How many facts of them are kept: a bound for memory. A kind that is plentiful does not take the room of others.
    pub fn room(self) -> usize {
        match self {
            Self::PodsHere => 8_192,
            Self::PodsElsewhere => 131_072,
            Self::Services => 32_768,
            Self::EndpointSlices => 131_072,
            Self::Nodes => 16_384,
            Self::ReplicaSets | Self::Jobs => 65_536,
        }
    }
}
