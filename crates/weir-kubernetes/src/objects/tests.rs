//! Objects as the API writes them.

use super::*;
use serde_json::{Value, json};
use weir_tests::api_server as api;

fn facts<T: Object>(object: Value) -> Facts {
    serde_json::from_value::<T>(object).expect("an object").facts(&mut Words::default())
}

const POD: api::Pod<'_> = api::Pod {
    uid: "0a1b2c3d-0000-4000-8000-0123456789ab",
    name: "web-7d4b9c-x2x4z",
    namespace: "shop",
    node: "node-1",
    address: "10.0.0.1",
    owner: Some(("ReplicaSet", "web-7d4b9c", "uid-of-it")),
};

#[test]
fn a_pod_of_this_node_is_known_by_uid_and_address() {
    let Facts { since, claims, .. } = facts::<PodHere>(POD.object());
    assert_eq!(since, 1_577_836_801_000_000_000);
    let [Claim::Address(address, pod), Claim::Pod(uid, _)] = claims.as_slice() else { panic!("{claims:?}") };
    assert_eq!((address.to_string().as_str(), &**uid), (POD.address, POD.uid));
    let owner = pod.owner.as_ref().map(|(owner, uid)| (&*owner.kind, &*owner.name, &**uid));
    assert_eq!(owner, Some(("replicaset", "web-7d4b9c", "uid-of-it")));
    assert_eq!((pod.namespace.as_deref(), pod.node.as_deref()), (Some("shop"), Some("node-1")));
}

#[test]
fn addresses_that_are_not_a_pods_own_are_not_its() {
    assert!(facts::<PodElsewhere>(POD.ended()).claims.is_empty());
    let claims = facts::<PodElsewhere>(POD.on_host()).claims;
    assert_eq!(claims.as_slice(), [Claim::Host(POD.address.parse().expect("an address"), POD.node.into())]);
    let claims = facts::<PodHere>(POD.on_host()).claims;
    assert!(matches!(claims.as_slice(), [Claim::Host(..), Claim::Pod(..)]), "{claims:?}");
    let nowhere = api::Pod { node: "", ..POD };
    assert!(facts::<PodElsewhere>(nowhere.on_host()).claims.is_empty());
}

#[test]
fn a_static_pod_is_known_by_the_uid_that_its_kubelet_gave_it() {
    let mut object = POD.object();
    object["metadata"]["annotations"]["kubernetes.io/config.hash"] =
        json!("0123456789abcdef0123456789abcdef");
    let claims = facts::<PodHere>(object).claims;
    let by_hash = |claim: &Claim| matches!(claim, Claim::Pod(uid, _) if uid.starts_with("0123456789abcdef"));
    assert!(claims.iter().any(by_hash), "{claims:?}");
}

#[test]
fn a_service_has_its_addresses_and_a_headless_one_none() {
    let mut object = api::service("shop", "web", "10.96.0.7");
    object["spec"]["externalIPs"] = json!(["192.0.2.7"]);
    object["status"]["loadBalancer"] = json!({"ingress": [{"ip": "192.0.2.8"}, {"hostname": "lb.example"}]});
    assert_eq!(facts::<ServiceObject>(object).claims.len(), 3);
    assert!(facts::<ServiceObject>(api::service("shop", "web", "None")).claims.is_empty());
}

#[test]
fn a_slice_leads_to_pods_and_else_to_addresses() {
    let mut object = api::endpoints("shop", "web", &[("uid-1", "10.0.0.1"), ("uid-2", "10.0.0.2")]);
    object["endpoints"][1]["targetRef"] = Value::Null;
    let claims = facts::<Slice>(object).claims;
    let member = |claim: &Claim| match claim {
        Claim::Member(member, service) => (member.clone(), service.name.to_string()),
        other => panic!("{other:?}"),
    };
    let members: Vec<_> = claims.iter().map(member).collect();
    let (pod, address) =
        (Member::Pod("uid-1".into()), Member::Address("10.0.0.2".parse().expect("an address")));
    assert_eq!(members, [(pod, "web".into()), (address, "web".into())]);
    let none =
        json!({"metadata": {"uid": "x", "labels": {"kubernetes.io/service-name": "web"}}, "endpoints": null});
    assert!(facts::<Slice>(none).claims.is_empty());
}

#[test]
fn metadata_is_enough_for_nodes_and_makers() {
    let claims = facts::<Node>(json!({"metadata": api::node("node-1", "zone-a")["metadata"]})).claims;
    assert_eq!(claims.as_slice(), [Claim::Node("node-1".into(), Some("zone-a".into()))]);
    let set = api::made_by(("Deployment", "web", "uid-d"), "shop", ("web-7d4b9c", "uid-of-it"));
    let claims = facts::<Maker>(set).claims;
    let owner = Arc::new(WorkloadOwner { kind: "deployment".into(), name: "web".into() });
    assert_eq!(claims.as_slice(), [Claim::Owner("uid-of-it".into(), owner)]);
    assert!(facts::<Maker>(json!({"metadata": {"uid": "alone", "labels": null}})).claims.is_empty());
}

#[test]
fn hostile_objects_are_harmless() {
    let long = "n".repeat(4096);
    let pod = api::Pod { name: "a\u{1b}[2J\n", namespace: &long, address: "not one", ..POD };
    let Facts { claims, .. } = facts::<PodHere>(pod.object());
    let [Claim::Pod(_, pod)] = claims.as_slice() else { panic!("{claims:?}") };
    assert_eq!(pod.name.as_deref(), Some("a\\u{1b}[2J\\n"));
    assert!(pod.namespace.as_ref().is_some_and(|name| name.len() < 300));
    assert!(facts::<PodHere>(json!({})).claims.iter().all(|claim| matches!(claim, Claim::Pod(..))));
    let many: Vec<_> = (0..5000).map(|_| ("uid", "10.0.0.1")).collect();
    assert_eq!(facts::<Slice>(api::endpoints("a", "b", &many)).claims.len(), MOST);
}
