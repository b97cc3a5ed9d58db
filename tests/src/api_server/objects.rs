//! Objects as the API writes them: with all that nobody wants, too.

use serde_json::{Value, json};

/// A pod that runs.
#[derive(Clone)]
#[expect(missing_docs, reason = "named as in the API")]
pub struct Pod<'a> {
    pub uid: &'a str,
    pub name: &'a str,
    pub namespace: &'a str,
    pub node: &'a str,
    pub address: &'a str,
    /// Kind, name and uid.
    pub owner: Option<(&'a str, &'a str, &'a str)>,
}

impl Pod<'_> {
    /// It runs.
    pub fn object(&self) -> Value {
        let owner = self.owner.map(|(kind, name, uid)| {
            json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true,
                    "blockOwnerDeletion": true}])
        });
        json!({
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "uid": self.uid,
                "creationTimestamp": "2020-01-01T00:00:00Z", "generateName": format!("{}-", self.name),
                "labels": {"app": self.name, "pod-template-hash": "7d4b9c"},
                "annotations": {"note": "x".repeat(500)},
                "ownerReferences": owner,
                "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:podIPs": {}}}}],
            },
            "spec": {
                "nodeName": self.node,
                "containers": [{"name": "main", "image": "registry.example/app:1", "env": [
                    {"name": "PASSWORD", "value": "not to be kept"}]}],
            },
            "status": {
                "phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}],
                "hostIP": "192.0.2.1", "startTime": "2020-01-01T00:00:01Z",
                "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null}],
            },
        })
    }

    /// It has ended, and shows its address still.
    pub fn ended(&self) -> Value {
        let mut object = self.object();
        object["status"]["phase"] = json!("Succeeded");
        object
    }

    /// It has no address but its node's.
    pub fn on_host(&self) -> Value {
        let mut object = self.object();
        object["spec"]["hostNetwork"] = json!(true);
        object
    }
}

/// A service with an address.
pub fn service(namespace: &str, name: &str, address: &str) -> Value {
    json!({
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("service-{namespace}-{name}")},
        "spec": {"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {}},
    })
}

/// Where a service leads to: uids of pods, and their addresses.
pub fn endpoints(namespace: &str, service: &str, pods: &[(&str, &str)]) -> Value {
    let endpoint = |(uid, address): &(&str, &str)| {
        json!({"addresses": [address], "conditions": {"ready": true},
               "targetRef": {"kind": "Pod", "uid": uid, "namespace": namespace}})
    };
    json!({
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "addressType": "IPv4",
        "metadata": {"name": format!("{service}-abc"), "namespace": namespace,
                     "uid": format!("slice-{namespace}-{service}"),
                     "labels": {"kubernetes.io/service-name": service}},
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": null,
    })
}

/// A node in a zone.
pub fn node(name: &str, zone: &str) -> Value {
    json!({
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "uid": format!("node-{name}"), "labels": {"topology.kubernetes.io/zone": zone}},
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"images": [{"names": ["x".repeat(1000)]}]},
    })
}

/// Something with this name and uid that something else has made: kind, name and uid.
pub fn made_by(owner: (&str, &str, &str), namespace: &str, (name, uid): (&str, &str)) -> Value {
    let (kind, owner_name, owner_uid) = owner;
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": uid,
                     "ownerReferences": [{"kind": kind, "name": owner_name, "uid": owner_uid, "controller": true}]},
        "spec": {"replicas": 3},
    })
}
