//! Joins records with the pods and services at their ends.

use super::Identity;
use crate::Settings;
use std::net::IpAddr;
use std::sync::Arc;
use weir_kubernetes::{Kubernetes, Sought, Span};
use weir_record::{End, FlowRecord};

impl Identity {
    /// Begins to follow Kubernetes, if there is one to follow.
    pub(super) fn open_kubernetes(&mut self, settings: &Settings) {
        // A record that leaves late begins as long ago as this.
        let linger = settings.active_timeout + settings.idle_timeout + 3 * settings.interval;
        match Kubernetes::start(&settings.kubernetes, linger) {
            Ok(kubernetes) => self.kubernetes = kubernetes,
            Err(error) => self.remarks.push(format!("pods and services stay unknown: {error}")),
        }
    }

    pub(super) fn hear_kubernetes(&mut self) {
        self.remarks.extend(self.kubernetes.iter_mut().flat_map(Kubernetes::hear));
    }

    pub(super) fn expire_kubernetes(&mut self) {
        self.kubernetes.iter_mut().for_each(Kubernetes::expire);
    }

    /// Enters the pods and services at both ends.
    pub(super) fn enter_workloads(&self, record: &mut FlowRecord) {
        let (Some(kubernetes), Some((source, destination))) = (&self.kubernetes, record.key.addresses())
        else {
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
}
