//! Joins records with the pods and services at their ends.

use crate::Settings;
use std::sync::Arc;
use weir_kubernetes::{Kubernetes, KubernetesState, Sought, Span};
use weir_record::{End, FlowRecord, Workload};

/// What Kubernetes says, where there is one to follow.
pub struct Workloads(Option<Kubernetes>);

impl Workloads {
    /// Begins to follow it; or does not, and says why.
    pub fn open(settings: &Settings) -> (Self, Option<String>) {
        if !settings.identity {
            return (Self(None), None);
        }
        // A record that leaves late begins as long ago as this.
        let linger = settings.active_timeout + settings.idle_timeout + 3 * settings.interval;
        match Kubernetes::start(&settings.kubernetes, linger) {
            Ok(kubernetes) => (Self(kubernetes), None),
            Err(error) => (Self(None), Some(format!("pods and services stay unknown: {error}"))),
        }
    }

    /// Takes in what it has said meanwhile; what a person should know of that.
    pub fn hear(&mut self) -> impl Iterator<Item = String> {
        self.0.iter_mut().flat_map(Kubernetes::hear)
    }

    /// Forgets who is gone.
    pub fn expire(&mut self) {
        self.0.iter_mut().for_each(Kubernetes::expire);
    }

    /// Enters the pods and services at both ends.
    pub fn attribute(&self, record: &mut FlowRecord) {
        let Some((source, destination)) = record.key.addresses() else { return };
        let span = Span { start: record.start, end: record.end };
        for (end, address) in [(&mut record.source, source), (&mut record.destination, destination)] {
            let pod_uid = end.process.as_ref().and_then(|process| process.pod_uid.as_deref());
            let sought = Sought { pod_uid, address, span };
            let told = self.0.as_ref().and_then(|kubernetes| kubernetes.workload(&sought));
            end.workload = told.or_else(|| by_runtime(end)).map(Arc::new);
        }
    }

    /// What can be said of it.
    pub fn state(&self) -> KubernetesState {
        self.0.as_ref().map(Kubernetes::state).unwrap_or_default()
    }
}

/// The pod that the container's runtime says it is in.
fn by_runtime(end: &End) -> Option<Workload> {
    let pod = end.container.as_ref()?.pod.as_ref()?;
    let (name, namespace) = (pod.name.as_str().into(), pod.namespace.as_str().into());
    Some(Workload { pod: Some(name), namespace: Some(namespace), ..Workload::default() })
}
