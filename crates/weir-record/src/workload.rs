//! What an end is to Kubernetes.

use std::sync::Arc;

/// A pod, or the service that stands before pods: as much as is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// The pod; none where the address is a service's.
    pub pod: Option<Arc<str>>,
    /// The namespace of the pod or service.
    pub namespace: Option<Arc<str>>,
    /// The node that the pod runs on.
    pub node: Option<Arc<str>>,
    /// What made the pod.
    pub owner: Option<Arc<WorkloadOwner>>,
    /// The service whose address it is, or that leads to the pod.
    pub service: Option<Arc<str>>,
    /// The node's availability zone.
    pub zone: Option<Arc<str>>,
}

/// What makes pods: of several, one above the other, the topmost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadOwner {
    /// `deployment`, `statefulset`, and so on: the API's kind, in lower case.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}
