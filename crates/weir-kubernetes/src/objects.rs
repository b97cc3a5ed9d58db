//! Objects of the API, as much of them as is wanted, and the facts that they state. What is not named here is never kept.

use crate::words::Words;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;
use weir_record::WorkloadOwner;

/// Addresses of one pod or service, and endpoints of one slice, that are looked at. The API allows fewer.
const MOST: usize = 1000;

/// What an object states.
#[derive(Debug)]
pub struct Facts {
    /// The object.
    pub uid: Arc<str>,
    /// Since when, in nanoseconds since the Unix epoch.
    pub since: u64,
    /// What it says.
    pub claims: SmallVec<[Claim; 2]>,
}

/// One fact: what one key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The pod of this uid, as control groups have it.
    Pod(Arc<str>, Arc<Pod>),
    /// The pod of this address.
    Address(IpAddr, Arc<Pod>),
    /// The node of this address.
    Host(IpAddr, Arc<str>),
    /// The service of this address.
    Virtual(IpAddr, Arc<Service>),
    /// A service that leads to this pod or address.
    Member(Member, Arc<Service>),
    /// A node, and its zone.
    Node(Arc<str>, Option<Arc<str>>),
    /// What has made the object of this uid.
    Owner(Arc<str>, Arc<WorkloadOwner>),
}

/// Where a service leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Member {
    /// A pod, by its uid.
    Pod(Arc<str>),
    /// Something else, by its address.
    Address(IpAddr),
}

/// A pod.
#[derive(Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its uid.
    pub uid: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its namespace.
    pub namespace: Option<Arc<str>>,
    /// Where it runs.
    pub node: Option<Arc<str>>,
    /// What has made it, and the uid of that.
    pub owner: Option<(Arc<WorkloadOwner>, Arc<str>)>,
}

/// A service.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Option<Arc<str>>,
}

/// An object that can be followed.
pub trait Object: DeserializeOwned {
    /// Its metadata.
    fn metadata(&self) -> &Metadata;
    /// What it states.
    fn facts(&self, words: &mut Words) -> Facts;
}

/// What every object has. A bookmark is one, too.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    name: String,
    namespace: String,
    /// What tells it from another one of the same name.
    pub uid: String,
    /// The state of the whole that it stands for.
    pub resource_version: String,
    creation_timestamp: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    labels: Labels,
    #[serde(deserialize_with = "or_nothing")]
    annotations: Annotations,
    #[serde(deserialize_with = "or_nothing")]
    owner_references: Vec<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Labels {
    #[serde(rename = "topology.kubernetes.io/zone")]
    zone: String,
    #[serde(rename = "kubernetes.io/service-name")]
    service: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Annotations {
    /// The uid of a static pod, as its kubelet has it in control groups.
    #[serde(rename = "kubernetes.io/config.hash")]
    hash: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    kind: String,
    name: String,
    uid: String,
    controller: bool,
}

/// Where Go writes null for what is empty.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Metadata {
    fn uid(&self) -> Arc<str> {
        crate::words::bounded(&self.uid).into()
    }

    fn facts(&self) -> Facts {
        Facts {
            uid: self.uid(),
            since: nanoseconds(self.creation_timestamp.as_deref()),
            claims: SmallVec::new(),
        }
    }

    fn owner(&self, words: &mut Words) -> Option<(Arc<WorkloadOwner>, Arc<str>)> {
        let reference = self.owner_references.iter().find(|reference| reference.controller)?;
        let (kind, name) = (words.of(&reference.kind.to_lowercase())?, words.of(&reference.name)?);
        Some((Arc::new(WorkloadOwner { kind, name }), words.of(&reference.uid)?))
    }
}

fn nanoseconds(time: Option<&str>) -> u64 {
    let time = time.and_then(|time| time.parse::<Timestamp>().ok());
    time.and_then(|time| u64::try_from(time.as_nanosecond()).ok()).unwrap_or(0)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodObject {
    metadata: Metadata,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: String,
    host_network: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    #[serde(rename = "podIPs", deserialize_with = "or_nothing")]
    addresses: Vec<Address>,
    start_time: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(default)]
    ip: String,
}

fn addresses<'a>(texts: impl Iterator<Item = &'a str>) -> impl Iterator<Item = IpAddr> {
    texts.take(MOST).filter_map(|text| text.parse().ok())
}

impl PodObject {
    fn pod(&self, words: &mut Words) -> Arc<Pod> {
        Arc::new(Pod {
            uid: self.metadata.uid(),
            name: Some(crate::words::bounded(&self.metadata.name).into()),
            namespace: words.of(&self.metadata.namespace),
            node: words.of(&self.spec.node_name),
            owner: self.metadata.owner(words),
        })
    }

    /// Its addresses: none when it has ended, though it still shows them. In its node's network they are the node's,
    /// which so needs not be followed in full.
    fn facts(&self, pod: &Arc<Pod>) -> Facts {
        let has_ended = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        let shown = self.status.addresses.iter().filter(|_| !has_ended);
        let claim = |address| match &pod.node {
            Some(node) if self.spec.host_network => Some(Claim::Host(address, node.clone())),
            _ if self.spec.host_network => None,
            _ => Some(Claim::Address(address, pod.clone())),
        };
        let claims = addresses(shown.map(|address| address.ip.as_str())).filter_map(claim);
        let metadata = self.metadata.facts();
        let since = self.status.start_time.as_deref().map_or(metadata.since, |time| nanoseconds(Some(time)));
        Facts { uid: pod.uid.clone(), since, claims: claims.collect() }
    }
}

/// A pod that runs here: known by its uid, too.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub struct PodHere(PodObject);

/// A pod that runs elsewhere.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub struct PodElsewhere(PodObject);

impl Object for PodHere {
    fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    fn facts(&self, words: &mut Words) -> Facts {
        let pod = self.0.pod(words);
        let mut facts = self.0.facts(&pod);
        let hash = words.of(&self.0.metadata.annotations.hash);
        facts.claims.extend(hash.map(|hash| Claim::Pod(hash, pod.clone())));
        facts.claims.push(Claim::Pod(pod.uid.clone(), pod));
        facts
    }
}

impl Object for PodElsewhere {
    fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    fn facts(&self, words: &mut Words) -> Facts {
        self.0.facts(&self.0.pod(words))
    }
}

/// A service.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ServiceObject {
    metadata: Metadata,
    spec: ServiceSpec,
    status: ServiceStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServiceSpec {
    #[serde(rename = "clusterIPs", deserialize_with = "or_nothing")]
    cluster: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "or_nothing")]
    external: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ServiceStatus {
    load_balancer: LoadBalancer,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoadBalancer {
    #[serde(deserialize_with = "or_nothing")]
    ingress: Vec<Address>,
}

impl Object for ServiceObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn facts(&self, words: &mut Words) -> Facts {
        let mut facts = self.metadata.facts();
        let Some(name) = words.of(&self.metadata.name) else { return facts };
        let service = Arc::new(Service { name, namespace: words.of(&self.metadata.namespace) });
        let texts = self.spec.cluster.iter().chain(&self.spec.external);
        let balanced = self.status.load_balancer.ingress.iter().map(|address| &address.ip);
        let all = addresses(texts.chain(balanced).map(String::as_str));
        facts.claims = all.map(|address| Claim::Virtual(address, service.clone())).collect();
        facts
    }
}

/// A part of where a service leads to.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Slice {
    metadata: Metadata,
    #[serde(deserialize_with = "or_nothing")]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    #[serde(deserialize_with = "or_nothing")]
    addresses: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    target_ref: Reference,
}

impl Object for Slice {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn facts(&self, words: &mut Words) -> Facts {
        let mut facts = self.metadata.facts();
        let Some(name) = words.of(&self.metadata.labels.service) else { return facts };
        let service = Arc::new(Service { name, namespace: words.of(&self.metadata.namespace) });
        for endpoint in self.endpoints.iter().take(MOST) {
            let target = &endpoint.target_ref;
            let pod = words.of(&target.uid).filter(|_| target.kind == "Pod").map(Member::Pod);
            // All addresses of an endpoint are the same one's; only the first is to be used.
            let first =
                || addresses(endpoint.addresses.iter().map(String::as_str)).next().map(Member::Address);
            facts.claims.extend(pod.or_else(first).map(|member| Claim::Member(member, service.clone())));
        }
        facts
    }
}

/// A node, by its metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Node {
    metadata: Metadata,
}

impl Object for Node {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn facts(&self, words: &mut Words) -> Facts {
        let mut facts = self.metadata.facts();
        let zone = words.of(&self.metadata.labels.zone);
        facts.claims.extend(words.of(&self.metadata.name).map(|name| Claim::Node(name, zone)));
        facts
    }
}

/// What stands between a pod and what its user has made, by its metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Maker {
    metadata: Metadata,
}

impl Object for Maker {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn facts(&self, words: &mut Words) -> Facts {
        let mut facts = self.metadata.facts();
        let owner = self.metadata.owner(words).map(|(owner, _)| Claim::Owner(facts.uid.clone(), owner));
        facts.claims.extend(owner);
        facts
    }
}

#[cfg(test)]
mod tests;
