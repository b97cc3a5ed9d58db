//! Joins records with the pods and services at their ends.

use crate::Settings;
use std::net::IpAddr;
use std::sync::Arc;
use weir_kubernetes::{Kubernetes, KubernetesState, Sought, Span};
use weir_record::{End, FlowRecord};

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
        let (Some(kubernetes), Some((source, destination))) = (&self.0, record.key.addresses()) else {
            return;
        };
        let span = Span { start: record.start, end: record.end };
        let enter = |end: &mut End, address: IpAddr| {
            let pod_uid = end.process.as_ref().and_then(|process| process.pod_uid.as_deref());
            end.workload = kubernetes.workload(&Sought { pod_uid, address, span }).map(Arc::new);
        };
        enter(&mut record.source, source);
        enter(&mut record.destination, destination);
    }

    /// What can be said of it.
    pub fn state(&self) -> KubernetesState {
        self.0.as_ref().map(Kubernetes::state).unwrap_or_default()
    }
}
