//! The ways to a server that no kubeconfig file describes.

use super::*;
use access::{Answers, Content};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_tests::api_server::{ApiServer, PODS, Pod, TOKEN};
use weir_tests::wait_for;

const UID: &str = "0a1b2c3d-0000-4000-8000-0123456789ab";
const POD: Pod<'_> =
    Pod { uid: UID, name: "web", namespace: "shop", node: "node-1", address: "10.0.0.1", owner: None };

/// As a pod finds its account, from a server on loopback.
fn account(server: &ApiServer) -> Access {
    let token = server.file("token", TOKEN);
    server.file("ca.crt", &server.certificates().authority);
    let port = server.url().rsplit(':').next().expect("a port").to_owned();
    access::of_account(("127.0.0.1", &port), token.parent().expect("a folder"))
}

/// The name of the pod of this uid, when it is known.
fn learned(access: Access) -> Option<String> {
    let mut known = Kubernetes::follow(access, "node-1".into(), Duration::from_secs(1)).expect("threads");
    wait_for("the pod is known", Duration::from_secs(20), || {
        assert_eq!(known.hear(), [""; 0]);
        (known.state().pods == 1 && known.state().connected).then_some(())
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let span = Span { start: now, end: now };
    let sought = Sought { pod_uid: Some(UID), address: [127, 0, 0, 1].into(), span };
    Some(known.workload(&sought)?.pod?.to_string())
}

#[test]
fn a_pods_own_account_is_enough() {
    let server = ApiServer::new();
    server.set(PODS, POD.object());
    server.set(weir_tests::api_server::NODES, weir_tests::api_server::node("node-1", "zone-a"));
    assert_eq!(learned(account(&server)).as_deref(), Some("web"));
}

#[test]
fn a_kubelet_is_asked_for_its_pods_and_nothing_else() {
    let server = ApiServer::new();
    server.set("/pods", POD.object());
    // It has made its certificate itself, as kubelets do: no CA of the cluster's vouches for it.
    let own = Content::File(server.file("kubelet.crt", &server.certificates().authority));
    let missing = Content::File("/nowhere/ca.crt".into());
    let access = Access { answers: Answers::Kubelet, authorities: vec![missing, own], ..account(&server) };
    assert_eq!(learned(access).as_deref(), Some("web"));
    assert_eq!(server.requests(), ["/pods"]);
}

#[test]
fn where_nobody_is_to_be_asked_nobody_is() {
    let off = Options { source: Source::Off, node: None };
    assert!(Kubernetes::start(&off, Duration::ZERO).is_ok_and(|none| none.is_none()));
    assert!(access::in_cluster().is_none());
}
