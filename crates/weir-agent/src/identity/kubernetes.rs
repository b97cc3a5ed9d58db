//! Joins records with the pods and services at their ends.

use crate::Settings;
use std::net::IpAddr;
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

    /// Enters the pods and services at both ends: of a service that was asked, the pod that answered, too.
    pub fn attribute(&self, record: &mut FlowRecord) {
        let Some((source, destination)) = record.key.addresses() else { return };
        let span = Span { start: record.start, end: record.end };
        let behind = record.translation.map(|ends| ends.destination.0);
        let asked = behind.and_then(|_| self.find(None, destination, span));
        let answering = behind.unwrap_or(destination);
        for (end, address) in [(&mut record.source, source), (&mut record.destination, answering)] {
            let pod_uid = end.process.as_ref().and_then(|process| process.pod_uid.as_deref());
            let told = self.find(pod_uid, address, span);
            end.workload = told.or_else(|| by_runtime(end)).map(Arc::new);
        }
        if let Some(asked) = asked {
            let answered = record.destination.workload.take().map(Arc::unwrap_or_clone);
            record.destination.workload = Some(Arc::new(both(asked, answered)));
        }
    }

    /// What an address was called from `start` to `end`.
    pub fn name(&self, address: IpAddr, (start, end): (u64, u64)) -> Option<String> {
        self.0.as_ref()?.name(address, Span { start, end })
    }

    fn find(&self, pod_uid: Option<&str>, address: IpAddr, span: Span) -> Option<Workload> {
        self.0.as_ref()?.workload(&Sought { pod_uid, address, span })
    }

    /// What can be said of it.
    pub fn state(&self) -> KubernetesState {
        self.0.as_ref().map(Kubernetes::state).unwrap_or_default()
    }
}

/// The pod that the container's runtime says it is in.
pub fn by_runtime(end: &End) -> Option<Workload> {
    let pod = end.container.as_ref()?.pod.as_ref()?;
    let (name, namespace) = (pod.name.as_str().into(), pod.namespace.as_str().into());
    Some(Workload { pod: Some(name), namespace: Some(namespace), ..Workload::default() })
}

/// A pod behind the address of a service.
fn both(asked: Workload, answered: Option<Workload>) -> Workload {
    match answered {
        Some(pod) => Workload { service: asked.service.or(pod.service), ..pod },
        None => asked,
    }
}
