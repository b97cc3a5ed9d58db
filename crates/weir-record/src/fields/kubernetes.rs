//! What both ends are to Kubernetes.

use crate::Workload;
use crate::field::{Field, Kind};
use crate::read::{known, set};
use crate::value::{Text, Value};
use std::sync::Arc;

fn text(workload: &Option<Arc<Workload>>, of: fn(&Workload) -> Option<&Arc<str>>) -> Value<'_> {
    workload.as_deref().and_then(of).map_or(Value::Absent, |text| Value::Text(Text::Borrowed(text)))
}

/// The same of either end: what differs is its name and where it lies in a record.
macro_rules! fields_of {
    ($end:ident) => {
        [
            end_field!($end, "_pod", 65, "k8s.pod.name", Kind::Text, "Kubernetes pod at this end: of this node by its process, elsewhere by its address. Null where that is not known: it is no pod, the address is a node's own, or `--kubernetes` is off.", |record| {
                text(&record.$end.workload, |workload| workload.pod.as_ref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.workload).pod, value.text().map(Some))),
            end_field!($end, "_namespace", 66, "k8s.namespace.name", Kind::Text, "Kubernetes namespace of the pod or service.", |record| {
                text(&record.$end.workload, |workload| workload.namespace.as_ref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.workload).namespace, value.text().map(Some))),
            end_field!($end, "_node", 67, "k8s.node.name", Kind::Text, "Node that the pod runs on.", |record| {
                text(&record.$end.workload, |workload| workload.node.as_ref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.workload).node, value.text().map(Some))),
            end_field!($end, "_owner", 68, "k8s.owner.name", Kind::Text, "What made the pod: of several, one above the other, the topmost.", |record| {
                text(&record.$end.workload, |workload| Some(&workload.owner.as_ref()?.name))
            }, |draft, value| set(&mut known(&mut known(&mut draft.record.$end.workload).owner).name, value.text())),
            end_field!($end, "_owner_kind", 69, "k8s.owner.kind", Kind::Text, "Its kind: `deployment`, `statefulset`, `daemonset`, `job`, `cronjob`, `replicaset`, `node` for static pods, or whatever else there is, in lower case.", |record| {
                text(&record.$end.workload, |workload| Some(&workload.owner.as_ref()?.kind))
            }, |draft, value| set(&mut known(&mut known(&mut draft.record.$end.workload).owner).kind, value.text())),
            end_field!($end, "_service", 70, "k8s.service.name", Kind::Text, "Service whose address it is, or that leads to the pod; of several the first by name.", |record| {
                text(&record.$end.workload, |workload| workload.service.as_ref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.workload).service, value.text().map(Some))),
            end_field!($end, "_zone", 71, "cloud.availability_zone", Kind::Text, "Availability zone of the node (label `topology.kubernetes.io/zone`).", |record| {
                text(&record.$end.workload, |workload| workload.zone.as_ref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.workload).zone, value.text().map(Some))),
        ]
    };
}

/// In the order of output.
pub const SOURCE: &[Field] = &fields_of!(source);
/// The same of the other end.
pub const DESTINATION: &[Field] = &fields_of!(destination);
