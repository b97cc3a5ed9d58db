//! What a record says of Kubernetes at one end.

use crate::output::{optional, text};
use serde_json::Value;

/// A pod or a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Workload {
    pub pod: Option<String>,
    pub namespace: Option<String>,
    pub node: Option<String>,
    pub owner: Option<String>,
    pub owner_kind: Option<String>,
    pub service: Option<String>,
    pub zone: Option<String>,
}

impl Workload {
    pub(crate) fn of(value: &Value, end: &str) -> Result<Self, String> {
        let words = |field: &str| optional(value, &format!("{end}_{field}"), text);
        Ok(Self {
            pod: words("pod")?,
            namespace: words("namespace")?,
            node: words("node")?,
            owner: words("owner")?,
            owner_kind: words("owner_kind")?,
            service: words("service")?,
            zone: words("zone")?,
        })
    }

    /// All of it, in that order, `-` for what is not known.
    pub fn words(&self) -> [&str; 7] {
        let Self { pod, namespace, node, owner, owner_kind, service, zone } = self;
        [pod, namespace, node, owner, owner_kind, service, zone].map(|word| word.as_deref().unwrap_or("-"))
    }
}
