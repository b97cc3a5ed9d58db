//! The ways to a server that no kubeconfig file describes, and long times without it.

use super::*;
use access::{Answers, Content};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use weir_tests::api_server::{ApiServer, NODES, PODS, Pod, TOKEN, node};
use weir_tests::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_secs(1);
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
    let mut known = follow(access, Arc::new(thread::sleep));
    hears_of(&mut known, 1);
    name_after(&known, Duration::ZERO)
}

fn follow(access: Access, rest: Rest) -> Kubernetes {
    Kubernetes::follow(access, "node-1".into(), LINGER, &rest).expect("threads")
}

/// Waits until all is told, with so many pods, and without trouble.
fn hears_of(known: &mut Kubernetes, pods: u64) {
    wait_for("the pods are known", PATIENCE, || {
        assert_eq!(known.hear(), [""; 0]);
        (known.state().pods == pods && known.state().connected).then_some(())
    });
}

/// The name of the pod of this uid, for a flow that begins so long from now.
fn name_after(known: &Kubernetes, time: Duration) -> Option<String> {
    let start = knowledge::now() + time.as_nanos() as u64;
    let sought =
        Sought { pod_uid: Some(UID), address: [127, 0, 0, 1].into(), span: Span { start, end: start } };
    Some(known.workload(&sought)?.pod?.to_string())
}

#[test]
fn a_pods_own_account_is_enough() {
    let server = ApiServer::new();
    server.set(PODS, POD.object());
    server.set(NODES, node("node-1", "zone-a"));
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

/// How long each follower has waited, in order.
type Waits = HashMap<ThreadId, Vec<Duration>>;

/// Followers for whom time goes by faster, and how long they think that they have waited.
fn hurried(access: Access) -> (Kubernetes, Arc<Mutex<Waits>>) {
    const FASTER: u32 = 200;
    let waits = Arc::<Mutex<Waits>>::default();
    let noted = Arc::clone(&waits);
    let rest = move |wait| {
        let mut waits = noted.lock().unwrap_or_else(PoisonError::into_inner);
        waits.entry(thread::current().id()).or_default().push(wait);
        drop(waits);
        thread::sleep(wait / FASTER);
    };
    (follow(access, Arc::new(rest)), waits)
}

#[test]
fn ten_minutes_without_the_server_cost_few_tries_one_line_and_nothing_that_is_known() {
    const OUTAGE: Duration = Duration::from_secs(600);
    let server = ApiServer::new();
    server.set(PODS, POD.object());
    server.set(NODES, node("node-1", "zone-a"));
    let (mut known, waits) = hurried(account(&server));
    hears_of(&mut known, 1);
    server.go_away();
    waits.lock().expect("no panic").clear();
    let mut lines = Vec::new();
    let waits = wait_for("ten minutes go by for all of them", PATIENCE, || {
        lines.extend(known.hear());
        let waits = waits.lock().expect("no panic");
        let are_over = waits.len() == Resource::ALL.len()
            && waits.values().all(|all| all.iter().sum::<Duration>() >= OUTAGE);
        are_over.then(|| waits.clone())
    });
    for all in waits.values() {
        let mut passed = Duration::ZERO;
        let tries = all.iter().take_while(|wait| {
            passed += **wait;
            passed <= OUTAGE
        });
        let tries = tries.count();
        // At the most hurried: eight of up to half a minute, then one each fifteen seconds.
        assert!((10..=48).contains(&tries), "{tries} tries: {all:?}");
        assert!(all.iter().all(|wait| *wait <= Duration::from_secs(45)), "{all:?}");
    }
    let mut fourth: Vec<_> = waits.values().map(|all| all[3]).collect();
    fourth.dedup();
    assert!(fourth.len() > 1, "all come back at once: {fourth:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    // Whatever is forgotten in that time, it is not this.
    known.knowledge.expire(Instant::now() + OUTAGE);
    let state = known.state();
    assert!(!state.connected && state.pods == 1, "{state:?}");
    assert_eq!(name_after(&known, OUTAGE).as_deref(), Some("web"));
    server.set(PODS, Pod { uid: "another", name: "next", address: "10.0.0.2", ..POD }.object());
    server.come_back();
    hears_of(&mut known, 2);
}
