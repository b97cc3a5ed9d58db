//! Against an API server: what is known is what is true there, whatever happens on the way.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_kubernetes::{Kubernetes, Options, Sought, Source, Span};
use weir_record::Workload;
use weir_tests::api_server::{
    ApiServer, Certificates, ENDPOINTS, JOBS, NODES, PODS, Pod, REPLICA_SETS, SERVICES,
};
use weir_tests::api_server::{TOKEN, endpoints, made_by, node, service};
use weir_tests::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
const LINGER: Duration = Duration::from_secs(1);

fn follow(file: PathBuf) -> Kubernetes {
    let options = Options { source: Source::File(file), node: Some("node-1".into()) };
    Kubernetes::start(&options, LINGER).expect("it can be read").expect("somebody is asked")
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

fn at(known: &Kubernetes, address: IpAddr) -> Option<Workload> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    known.workload(&Sought { pod_uid: None, address, span: Span { start: now, end: now } })
}

/// A server, and what is true there: by address, which pod it is.
struct World {
    server: ApiServer,
    truth: BTreeMap<u32, String>,
    random: u64,
}

impl World {
    fn new(pods: u32) -> Self {
        let mut world = Self { server: ApiServer::new(), truth: BTreeMap::new(), random: 1 };
        world.server.set(NODES, node("node-1", "zone-a"));
        (0..pods).for_each(|number| world.put(number, 0));
        world
    }

    /// A pod at the address of this number, of which there were others before.
    fn put(&mut self, number: u32, generation: u64) {
        self.take(number);
        let (name, ip) = (format!("pod-{number}-{generation}"), address(number).to_string());
        let node = format!("node-{}", 1 + number % 50);
        let uid = format!("00000000-0000-4000-8000-{generation:04x}{number:08x}");
        let owner = Some(("ReplicaSet", "web-1", "uid-of-web-1"));
        let pod = Pod { uid: &uid, name: &name, namespace: "default", node: &node, address: &ip, owner };
        self.server.set(PODS, pod.object());
        self.truth.insert(number, name);
    }

    fn take(&mut self, number: u32) {
        if let Some(name) = self.truth.remove(&number) {
            self.server.remove(PODS, "default", &name);
        }
    }

    /// Changes some of the pods.
    fn change(&mut self, times: u64, pods: u32) {
        for time in 0..times {
            self.random =
                self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (self.random >> 33) as u32 % pods;
            if self.random >> 62 == 0 {
                self.take(number)
            } else {
                self.put(number, self.random >> 48 ^ time)
            }
        }
    }

    /// Waits until all that is known of these addresses is true.
    fn converges(&self, known: &mut Kubernetes, pods: u32) {
        let count = self.truth.len() as u64;
        wait_for("what is known is true", PATIENCE, || {
            known.hear();
            known.expire();
            (known.state().pods == count).then_some(())?;
            let is_true = |number| {
                let found = at(known, address(number)).and_then(|workload| workload.pod);
                found.as_deref() == self.truth.get(&number).map(String::as_str)
            };
            (0..pods).all(is_true).then_some(())
        });
    }
}

#[test]
fn ten_thousand_pods_are_known_in_pages_through_changes_cuts_and_lost_history() {
    const PODS: u32 = 10_000;
    let mut world = World::new(PODS);
    let mut known = follow(world.server.kubeconfig());
    world.converges(&mut known, PODS);
    let pages = world.server.requests().iter().filter(|one| one.contains("continue=")).count();
    assert!(pages >= 19, "{pages} pages after the first");
    for round in 0..6 {
        world.change(500, PODS);
        match round % 3 {
            0 => {}
            1 => world.server.cut(),
            _ => {
                // What happens while nobody looks is not told any more.
                world.server.go_away();
                world.change(500, PODS);
                world.server.forget();
                world.server.come_back();
            }
        }
        world.converges(&mut known, PODS);
    }
    let lists = world.server.requests();
    let lists = lists.iter().filter(|one| one.contains("pods?limit") && !one.contains("continue=")).count();
    // Two kinds of pods; at first, and twice after history was lost.
    assert_eq!(lists, 6, "a cut alone does not make all be listed again");
}

/// All pages of a list are of one moment; a server that has forgotten it says so in the middle.
#[test]
fn a_list_that_gets_too_old_in_its_middle_begins_anew() {
    const PODS: u32 = 1200;
    let mut world = World::new(PODS);
    world.server.refuse_next_page();
    let mut known = follow(world.server.kubeconfig());
    wait_for("a second page is asked for", PATIENCE, || {
        world.server.requests().iter().any(|one| one.contains("continue=")).then_some(())
    });
    // Some that the first page had go, and others come, before it is listed again.
    world.change(200, PODS);
    world.converges(&mut known, PODS);
    let lists = world.server.requests();
    let lists = lists.iter().filter(|one| one.contains("pods?limit") && !one.contains("continue=")).count();
    assert_eq!(lists, 3, "pods here once, those elsewhere twice");
}

#[test]
fn bookmarks_move_a_quiet_watch_on() {
    let mut world = World::new(3);
    let mut known = follow(world.server.kubeconfig());
    world.converges(&mut known, 3);
    // Services change; of pods there is no news but bookmarks. Then history up to those is forgotten.
    (0..10).for_each(|number| {
        world.server.set(SERVICES, service("default", &format!("s{number}"), "10.96.0.1"))
    });
    std::thread::sleep(Duration::from_millis(500));
    world.server.forget();
    std::thread::sleep(Duration::from_millis(500));
    world.server.cut();
    world.change(10, 3);
    world.converges(&mut known, 3);
    let lists = world.server.requests();
    let lists = lists.iter().filter(|one| one.contains("pods?limit")).count();
    assert_eq!(lists, 2, "a bookmark told where to go on");
}

#[test]
fn a_server_that_is_gone_leaves_what_is_known() {
    let mut world = World::new(20);
    let mut known = follow(world.server.kubeconfig());
    world.converges(&mut known, 20);
    wait_for("all are followed", PATIENCE, || {
        known.hear();
        known.state().connected.then_some(())
    });
    world.server.go_away();
    let lines = wait_for("it is said", PATIENCE, || Some(known.hear()).filter(|lines| !lines.is_empty()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("kubernetes: cannot reach https://127.0.0.1:"), "{lines:?}");
    let state = known.state();
    assert!(!state.connected && state.pods == 20 && state.last_error.is_some(), "{state:?}");
    assert!((0..20).all(|number| at(&known, address(number)).is_some()));
    world.change(20, 20);
    world.server.come_back();
    world.converges(&mut known, 20);
    wait_for("all are followed", PATIENCE, || {
        assert_eq!(known.hear(), [""; 0]);
        known.state().connected.then_some(())
    });
}

/// The first line that is said.
fn said(mut known: Kubernetes) -> String {
    let lines =
        wait_for("something is said", PATIENCE, || Some(known.hear()).filter(|lines| !lines.is_empty()));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((lines.len(), known.hear().len()), (1, 0), "{lines:?}");
    lines.into_iter().next().expect("one line")
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let server = ApiServer::new();
    server.set(NODES, node("node-1", "zone-a"));
    let other = Certificates::new().authority;
    let line = said(follow(server.kubeconfig_with(&other, &format!("{{token: {TOKEN}}}"))));
    assert!(line.contains("certificate that our CA does not vouch for"), "{line}");
    let line = said(follow(server.kubeconfig_with(&server.certificates().authority, "{token: wrong}")));
    assert!(line.contains("does not accept our credentials (401)"), "{line}");
    server.forbid(NODES);
    let line = said(follow(server.kubeconfig()));
    assert!(line.contains("not allowed to list and watch nodes (403)"), "{line}");
    let options = |file: &str| Options { source: Source::File(file.into()), node: None };
    let error = Kubernetes::start(&options("/nowhere/config"), LINGER).err().expect("it is not there");
    assert!(error.to_string().starts_with("cannot read /nowhere/config: "), "{error}");
}

#[test]
fn a_node_of_another_name_is_said() {
    let server = ApiServer::new();
    server.set(NODES, node("node-2", "zone-a"));
    let line = said(follow(server.kubeconfig()));
    assert_eq!(line, "kubernetes: no node is called node-1: give this one's name with --kubernetes-node");
}

#[test]
fn a_client_certificate_and_a_new_token_are_taken() {
    let mut world = World::new(3);
    let (certificate, key) = world.server.certificates().client.clone();
    world.server.file("me.crt", &certificate);
    world.server.file("me.key", &key);
    let authority = world.server.certificates().authority.clone();
    let user = "{client-certificate: me.crt, client-key: me.key}";
    world.converges(&mut follow(world.server.kubeconfig_with(&authority, user)), 3);
    world.server.file("token", "old");
    let mut known = follow(world.server.kubeconfig_with(&authority, "{tokenFile: token}"));
    wait_for("it is refused", PATIENCE, || {
        known.hear().first().filter(|line| line.contains("(401)")).cloned()
    });
    world.server.file("token", TOKEN);
    world.change(5, 3);
    world.converges(&mut known, 3);
}

/// What made it, the topmost: a Job that a CronJob has made is the CronJob's.
#[test]
fn a_job_is_an_owner_unless_a_cronjob_has_made_it() {
    let server = ApiServer::new();
    server.set(JOBS, made_by(("CronJob", "nightly", "uid-c"), "default", ("nightly-1", "uid-of-nightly-1")));
    for (number, job) in ["nightly-1", "once"].into_iter().enumerate() {
        let (uid, address) = (format!("uid-of-{job}"), address(number as u32).to_string());
        let owner = Some(("Job", job, uid.as_str()));
        let pod = Pod { uid: job, name: job, namespace: "default", node: "node-2", address: &address, owner };
        server.set(PODS, pod.object());
    }
    let mut known = follow(server.kubeconfig());
    wait_for("all is known", PATIENCE, || {
        known.hear();
        known.state().connected.then_some(())
    });
    let owner = |number| at(&known, address(number)).and_then(|workload| workload.owner);
    let owner = |number| owner(number).map(|owner| (owner.kind.to_string(), owner.name.to_string()));
    assert_eq!(owner(0), Some(("cronjob".into(), "nightly".into())));
    assert_eq!(owner(1), Some(("job".into(), "once".into())));
}

#[test]
fn a_workload_is_whole() {
    let world = World::new(2);
    world
        .server
        .set(REPLICA_SETS, made_by(("Deployment", "web", "uid-d"), "default", ("web-1", "uid-of-web-1")));
    world.server.set(SERVICES, service("default", "front", "10.96.0.7"));
    let uid = "00000000-0000-4000-8000-000000000000";
    world.server.set(ENDPOINTS, endpoints("default", "front", &[(uid, "10.0.0.0")]));
    let mut known = follow(world.server.kubeconfig());
    let whole = wait_for("all is known", PATIENCE, || {
        known.hear();
        at(&known, address(0)).filter(|_| known.state().connected)
    });
    let owner = whole.owner.map(|owner| (owner.kind.to_string(), owner.name.to_string()));
    assert_eq!(owner, Some(("deployment".into(), "web".into())));
    let words = [whole.pod, whole.namespace, whole.node, whole.service, whole.zone];
    let words = words.each_ref().map(|word| word.as_deref().unwrap_or("-"));
    assert_eq!(words, ["pod-0-0", "default", "node-1", "front", "zone-a"]);
    let front = at(&known, "10.96.0.7".parse().expect("an address")).expect("it is known");
    assert_eq!(
        (front.service.as_deref(), front.namespace.as_deref(), front.pod),
        (Some("front"), Some("default"), None)
    );
}
