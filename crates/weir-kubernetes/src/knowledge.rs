//! All that was heard, and what it means for an end of a conversation.

use crate::objects::{Claim, Facts, Member, Pod, Service};
use crate::register::Register;
pub use crate::register::Span;
use crate::resource::Resource;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_record::{Workload, WorkloadOwner};

/// An end of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// The pod, where its control group is known.
    pub pod_uid: Option<&'a str>,
    /// Its address.
    pub address: IpAddr,
    /// When it talked.
    pub span: Span,
}

/// What the objects of one kind state.
#[derive(Debug, Default)]
struct Shelf {
    objects: HashMap<Arc<str>, Stated>,
    claims: usize,
    /// How often all were listed.
    round: u32,
    left_out: u64,
}

#[derive(Debug)]
struct Stated {
    round: u32,
    claims: SmallVec<[Claim; 2]>,
}

/// What is known, and what was a while ago.
#[derive(Debug)]
pub struct Knowledge {
    shelves: HashMap<Resource, Shelf>,
    pods: Register<Arc<str>, Arc<Pod>>,
    addresses: Register<IpAddr, Arc<Pod>>,
    hosts: Register<IpAddr, Arc<str>>,
    services: Register<IpAddr, Arc<Service>>,
    members: Register<Member, Arc<Service>>,
    nodes: Register<Arc<str>, Option<Arc<str>>>,
    owners: Register<Arc<str>, Arc<WorkloadOwner>>,
}

impl Knowledge {
    /// Nothing yet.
    pub fn new(linger: Duration) -> Self {
        Self {
            shelves: Resource::ALL.map(|resource| (resource, Shelf::default())).into(),
            pods: Register::new(linger),
            addresses: Register::new(linger),
            hosts: Register::new(linger),
            services: Register::new(linger),
            members: Register::new(linger),
            nodes: Register::new(linger),
            owners: Register::new(linger),
        }
    }

    /// All of a kind are told from now on, until [`listed`](Self::listed).
    pub fn listing(&mut self, resource: Resource) {
        self.shelf(resource).round += 1;
    }

    /// All of a kind were told: those that were not are gone.
    pub fn listed(&mut self, resource: Resource) {
        let shelf = self.shelf(resource);
        let round = shelf.round;
        let stale = shelf.objects.iter().filter(|(_, stated)| stated.round != round);
        let stale: Vec<_> = stale.map(|(uid, _)| Arc::clone(uid)).collect();
        stale.iter().for_each(|uid| self.gone(resource, uid));
    }

    /// An object is there, or has changed.
    pub fn object(&mut self, resource: Resource, facts: Facts) {
        let Facts { uid, since, claims } = facts;
        let shelf = self.shelf(resource);
        let round = shelf.round;
        let known = shelf.objects.get_mut(&uid).map(|stated| {
            stated.round = round;
            std::mem::take(&mut stated.claims)
        });
        let had = known.as_ref().map_or(0, SmallVec::len);
        if shelf.claims - had + claims.len() > resource.room() {
            shelf.left_out += 1;
            shelf.claims -= had;
            shelf.objects.remove(&uid);
            known.into_iter().flatten().for_each(|claim| self.end(&claim));
            return;
        }
        let known = known.unwrap_or_default();
        // What is said again keeps its place, and its memory.
        let (kept, ended): (SmallVec<[Claim; 2]>, SmallVec<[Claim; 2]>) =
            known.into_iter().partition(|old| claims.contains(old));
        let begun: Vec<_> = claims.into_iter().filter(|new| !kept.contains(new)).collect();
        ended.iter().for_each(|claim| self.end(claim));
        begun.iter().for_each(|claim| self.begin(claim.clone(), since));
        let mut claims = kept;
        claims.extend(begun);
        claims.shrink_to_fit();
        let shelf = self.shelf(resource);
        // Of what is said twice in one object, more may be kept than is said now.
        shelf.claims = shelf.claims - had + claims.len();
        if claims.is_empty() {
            shelf.objects.remove(&uid);
        } else {
            shelf.objects.insert(uid, Stated { round, claims });
        }
    }

    /// An object is there no more.
    pub fn gone(&mut self, resource: Resource, uid: &str) {
        let shelf = self.shelf(resource);
        let Some(stated) = shelf.objects.remove(uid) else { return };
        shelf.claims -= stated.claims.len();
        stated.claims.iter().for_each(|claim| self.end(claim));
    }

    fn shelf(&mut self, resource: Resource) -> &mut Shelf {
        self.shelves.entry(resource).or_default()
    }

    /// Addresses are given anew, and have to say since when; uids are not.
    fn begin(&mut self, claim: Claim, since: u64) {
        match claim {
            Claim::Pod(uid, pod) => self.pods.begin(uid, 0, pod),
            Claim::Address(address, pod) => self.addresses.begin(address, since, pod),
            Claim::Host(address, node) => self.hosts.begin(address, since, node),
            Claim::Virtual(address, service) => self.services.begin(address, since, service),
            Claim::Member(member, service) => self.members.begin(member, 0, service),
            Claim::Node(node, zone) => self.nodes.begin(node, 0, zone),
            Claim::Owner(uid, owner) => self.owners.begin(uid, 0, owner),
        }
    }

    fn end(&mut self, claim: &Claim) {
        let now = (Instant::now(), now());
        match claim {
            Claim::Pod(uid, pod) => self.pods.end(uid, now, pod),
            Claim::Address(address, pod) => self.addresses.end(address, now, pod),
            Claim::Host(address, node) => self.hosts.end(address, now, node),
            Claim::Virtual(address, service) => self.services.end(address, now, service),
            Claim::Member(member, service) => self.members.end(member, now, service),
            Claim::Node(node, zone) => self.nodes.end(node, now, zone),
            Claim::Owner(uid, owner) => self.owners.end(uid, now, owner),
        }
    }

    /// Forgets what has ended long ago.
    pub fn expire(&mut self, now: Instant) {
        self.pods.expire(now);
        self.addresses.expire(now);
        self.hosts.expire(now);
        self.services.expire(now);
        self.members.expire(now);
        self.nodes.expire(now);
        self.owners.expire(now);
    }

    /// The pod by its uid where a process tells it: addresses may be shared. Else whose the address is.
    pub fn workload(&self, sought: &Sought<'_>) -> Option<Workload> {
        let Sought { pod_uid, address, span } = *sought;
        let pod = match pod_uid {
            Some(uid) => Some(self.pods.at(uid, span)?),
            None => self.addresses.at(&address, span),
        };
        if let Some(pod) = pod {
            return Some(self.of_pod(pod, span));
        }
        let services =
            self.services.at(&address, span).or_else(|| self.leading_to(Member::Address(address), span));
        services.map(|service| Workload {
            namespace: service.namespace.clone(),
            service: Some(service.name.clone()),
            ..Workload::default()
        })
    }

    /// What an address is called: by the service whose it is, else by the pod, each with its namespace, else by the node.
    pub fn name(&self, address: IpAddr, span: Span) -> Option<String> {
        let whole = |name: &str, namespace: &Option<Arc<str>>| match namespace {
            Some(namespace) => format!("{name}.{namespace}"),
            None => name.to_owned(),
        };
        let service =
            self.services.at(&address, span).map(|service| whole(&service.name, &service.namespace));
        let of_pod = |pod: &Arc<Pod>| Some(whole(pod.name.as_ref()?, &pod.namespace));
        let pod = || self.addresses.at(&address, span).and_then(of_pod);
        let node = || self.hosts.at(&address, span).map(|node| node.as_ref().to_owned());
        service.or_else(pod).or_else(node)
    }

    fn of_pod(&self, pod: &Pod, span: Span) -> Workload {
        let above = |(owner, uid): &(Arc<WorkloadOwner>, Arc<str>)| {
            self.owners.at(uid, span).unwrap_or(owner).clone()
        };
        Workload {
            pod: pod.name.clone(),
            namespace: pod.namespace.clone(),
            node: pod.node.clone(),
            owner: pod.owner.as_ref().map(above),
            service: self.leading_to(Member::Pod(pod.uid.clone()), span).map(|service| service.name.clone()),
            zone: pod.node.as_ref().and_then(|node| self.nodes.at(node, span)?.clone()),
        }
    }

    /// The first by name.
    fn leading_to(&self, member: Member, span: Span) -> Option<&Arc<Service>> {
        self.members.all_at(&member, span).min()
    }

    /// Whether there is a node of this name now.
    pub fn has_node(&self, name: &str) -> bool {
        let now = now();
        self.nodes.all_at(&Arc::from(name), Span { start: now, end: now }).next().is_some()
    }

    /// How many objects of a kind say anything.
    pub fn count(&self, resource: Resource) -> u64 {
        self.shelves.get(&resource).map_or(0, |shelf| shelf.objects.len() as u64)
    }

    /// How often an object did not fit.
    pub fn left_out(&self) -> u64 {
        self.shelves.values().map(|shelf| shelf.left_out).sum()
    }
}

/// Nanoseconds since the Unix epoch.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
