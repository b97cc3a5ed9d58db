//! What a container's runtime says of it.

/// A container, as the one who started it knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerDetails {
    /// Its name.
    pub name: Option<String>,
    /// The image it was made from, as it was asked for.
    pub image: Option<String>,
    /// Those of its labels that are wanted: `key=value,key=value`, in the order of their keys.
    pub labels: Option<String>,
    /// The Kubernetes pod that it is in.
    pub pod: Option<PodName>,
}

/// What a pod is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName {
    /// Its namespace.
    pub namespace: String,
    /// Its own name there.
    pub name: String,
}
