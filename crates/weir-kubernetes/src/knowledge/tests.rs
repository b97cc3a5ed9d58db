//! What is known when, and how much of it.

use super::*;
use smallvec::smallvec;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn pod(name: &str) -> Arc<Pod> {
    let owner = WorkloadOwner { kind: "replicaset".into(), name: "set".into() };
    Arc::new(Pod {
        uid: name.into(),
        name: Some(name.into()),
        namespace: Some("shop".into()),
        node: Some("node-1".into()),
        owner: Some((Arc::new(owner), "uid-of-set".into())),
    })
}

fn service(name: &str) -> Arc<Service> {
    Arc::new(Service { name: name.into(), namespace: Some("shop".into()) })
}

fn stated(uid: &str, claims: impl IntoIterator<Item = Claim>) -> Facts {
    Facts { uid: uid.into(), since: 0, claims: claims.into_iter().collect() }
}

fn at(address: IpAddr) -> Sought<'static> {
    let now = now();
    Sought { pod_uid: None, address, span: Span { start: now, end: now } }
}

fn name(found: Option<Workload>) -> Option<Arc<str>> {
    found.and_then(|workload| workload.pod)
}

fn knowledge() -> Knowledge {
    Knowledge::new(Duration::from_secs(60))
}

#[test]
fn a_pod_is_joined_with_all_that_others_say_of_it() {
    let mut known = knowledge();
    known.object(Resource::PodsElsewhere, stated("a", [Claim::Address(ADDRESS, pod("a"))]));
    known.object(Resource::Nodes, stated("n", [Claim::Node("node-1".into(), Some("zone-a".into()))]));
    let deployment = Arc::new(WorkloadOwner { kind: "deployment".into(), name: "web".into() });
    known.object(Resource::ReplicaSets, stated("s", [Claim::Owner("uid-of-set".into(), deployment.clone())]));
    for name in ["web", "api"] {
        let claim = Claim::Member(Member::Pod("a".into()), service(name));
        known.object(Resource::EndpointSlices, stated(name, [claim]));
    }
    let found = known.workload(&at(ADDRESS)).expect("it is known");
    assert_eq!(found.owner, Some(deployment));
    assert_eq!((found.service.as_deref(), found.zone.as_deref()), (Some("api"), Some("zone-a")));
    assert!(known.has_node("node-1") && !known.has_node("node-2"));
}

#[test]
fn what_is_gone_still_holds_for_what_was_before() {
    let mut known = knowledge();
    known.object(Resource::PodsElsewhere, stated("a", [Claim::Address(ADDRESS, pod("a"))]));
    known.object(
        Resource::EndpointSlices,
        stated("s", [Claim::Member(Member::Pod("a".into()), service("web"))]),
    );
    let before = at(ADDRESS);
    std::thread::sleep(Duration::from_millis(2));
    known.gone(Resource::EndpointSlices, "s");
    known.gone(Resource::PodsElsewhere, "a");
    let facts = Facts { since: now(), ..stated("b", [Claim::Address(ADDRESS, pod("b"))]) };
    known.object(Resource::PodsElsewhere, facts);
    assert_eq!(name(known.workload(&at(ADDRESS))).as_deref(), Some("b"));
    let then = known.workload(&before).expect("it was known");
    assert_eq!((then.pod.as_deref(), then.service.as_deref()), (Some("a"), Some("web")));
    known.expire(Instant::now() + Duration::from_secs(61));
    assert_eq!(known.workload(&before).and_then(|workload| workload.service), None);
}

#[test]
fn a_uid_is_surer_than_an_address() {
    let mut known = knowledge();
    let claims = [Claim::Address(ADDRESS, pod("a")), Claim::Pod("a".into(), pod("a"))];
    known.object(Resource::PodsHere, stated("a", claims));
    let by = |uid| known.workload(&Sought { pod_uid: Some(uid), ..at(ADDRESS) });
    assert_eq!(name(by("a")).as_deref(), Some("a"));
    // A pod that is not known yet is not whoever had its address before.
    assert_eq!(by("b"), None);
}

#[test]
fn a_services_address_is_the_services() {
    let mut known = knowledge();
    known.object(Resource::Services, stated("s", [Claim::Virtual(ADDRESS, service("web"))]));
    let found = known.workload(&at(ADDRESS)).expect("it is known");
    assert_eq!(
        (found.service.as_deref(), found.namespace.as_deref(), found.pod),
        (Some("web"), Some("shop"), None)
    );
}

#[test]
fn an_address_has_the_name_of_the_service_then_of_the_pod_then_of_the_node() {
    let mut known = knowledge();
    let name = |known: &Knowledge| known.name(ADDRESS, at(ADDRESS).span);
    assert_eq!(name(&known), None);
    let node = || Claim::Host(ADDRESS, "node-1".into());
    known.object(Resource::PodsHere, stated("proxy", [node()]));
    // Each pod in a node's network says so; one that goes takes nothing from the others.
    known.object(Resource::PodsHere, stated("network", [node()]));
    known.gone(Resource::PodsHere, "proxy");
    assert_eq!(name(&known).as_deref(), Some("node-1"));
    known.object(Resource::PodsElsewhere, stated("a", [Claim::Address(ADDRESS, pod("a"))]));
    assert_eq!(name(&known).as_deref(), Some("a.shop"));
    known.object(Resource::Services, stated("s", [Claim::Virtual(ADDRESS, service("web"))]));
    assert_eq!(name(&known).as_deref(), Some("web.shop"));
}

#[test]
fn a_new_list_replaces_the_old_one() {
    let mut known = knowledge();
    let address = |last| IpAddr::from([10, 0, 0, last]);
    let object =
        |last: u8| stated(&last.to_string(), [Claim::Address(address(last), pod(&last.to_string()))]);
    for list in [1..5, 3..7] {
        known.listing(Resource::PodsElsewhere);
        list.for_each(|last| known.object(Resource::PodsElsewhere, object(last)));
        known.listed(Resource::PodsElsewhere);
    }
    std::thread::sleep(Duration::from_millis(2));
    let there: Vec<_> = (1..9).filter(|last| known.workload(&at(address(*last))).is_some()).collect();
    assert_eq!(there, [3, 4, 5, 6]);
    assert_eq!(known.count(Resource::PodsElsewhere), 4);
}

#[test]
fn an_object_that_says_less_takes_the_rest_back() {
    let mut known = knowledge();
    known.object(Resource::PodsElsewhere, stated("a", [Claim::Address(ADDRESS, pod("a"))]));
    known.object(Resource::PodsElsewhere, stated("a", []));
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!((known.workload(&at(ADDRESS)), known.count(Resource::PodsElsewhere)), (None, 0));
}

#[test]
fn what_has_no_room_is_left_out_and_counted() {
    let mut known = knowledge();
    let room = Resource::PodsHere.room();
    let uid = |number: usize| number.to_string();
    for number in 0..room + 10 {
        let claims = smallvec![Claim::Pod(uid(number).into(), pod("a"))];
        known.object(Resource::PodsHere, Facts { uid: uid(number).into(), since: 0, claims });
    }
    assert_eq!((known.count(Resource::PodsHere), known.left_out()), (room as u64, 10));
    (0..20).for_each(|number| known.gone(Resource::PodsHere, &uid(number)));
    known.object(Resource::PodsHere, stated("new", [Claim::Pod("new".into(), pod("new"))]));
    assert_eq!((known.count(Resource::PodsHere), known.left_out()), (room as u64 - 19, 10));
}

#[test]
fn what_is_said_twice_takes_no_room_for_ever() {
    let mut known = knowledge();
    let claim = || Claim::Address(ADDRESS, pod("a"));
    for claims in [vec![claim(), claim()], vec![claim()], vec![claim(), claim(), claim()], vec![claim()]] {
        known.object(Resource::PodsElsewhere, stated("a", claims));
    }
    known.gone(Resource::PodsElsewhere, "a");
    assert_eq!(known.shelf(Resource::PodsElsewhere).claims, 0);
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(known.workload(&at(ADDRESS)), None);
}
