//! Names that mean no good, from all who can choose one: a process, its container, who answers for DNS, a cluster. Whatever
//! Weir prints of them is a line of text, of a bounded length, and says what was there.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::api_server::{ApiServer, NODES, PODS, Pod, SERVICES, node, service};
use weir_tests::control::status;
use weir_tests::dns::{answer, forged};
use weir_tests::docker::{inspected, serve};
use weir_tests::groups::Groups;
use weir_tests::meanwhile::meanwhile;
use weir_tests::netns::{Namespace, succeed};
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::shell::{Shell, shell};
use weir_tests::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);
/// On the wire, but nobody's: a pod's.
const POD: &str = "10.77.0.9";
/// Clears a terminal, changes its title, breaks a line, ends a string, turns text round, and is long.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\n\r\"}\u{9b}1m\u{202e}\u{2066}";
/// How that begins where it is spelled out.
const SPELLED: &str = r"\u{1b}[2J";

/// A process in a container talks to a host that has a name from DNS, and to a pod.
struct Stage {
    pair: Pair,
    folder: PathBuf,
    flags: Vec<String>,
    _talker: Shell,
    _groups: Groups,
    _server: ApiServer,
}

impl Stage {
    fn new() -> Self {
        let (pair, mut groups) = (Pair::new(), Groups::new());
        let folder = std::env::temp_dir().join(format!("weirt-hostile-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let id = "666".repeat(22)[..64].to_owned();
        let group = groups.make(&format!("weirt.slice/docker-{id}.scope"));
        let socket = folder.join("docker.sock");
        let words = serde_json::to_string(&format!("{EVIL}{}", "ü".repeat(4096))).expect("JSON");
        let inside = words.trim_matches('"');
        serve(&socket, [(id, inspected(inside, inside, &format!("{{{words}:{words}}}")))].into());
        let server = pair.left.enter(cluster);
        let kubeconfig = server.kubeconfig();
        let flags = [
            &["-i", INTERFACE, "--kubernetes-node", "node-1", "--container-label", "*"].map(str::to_owned)[..],
            &["--hosts-file".into(), folder.join("hosts").display().to_string()],
            &["--kubernetes".into(), kubeconfig.display().to_string()],
            &["--container-runtimes".into(), format!("docker={}", socket.display())],
        ];
        pair.left
            .ip(&format!("neighbour replace {POD} lladdr 02:00:00:00:00:02 dev {INTERFACE} nud permanent"));
        let talk = format!(
            "exec 2>/dev/null; echo $$ >{}; exec bash -c 'printf \"\\e[2J\\e[31mevil\" >/proc/$$/comm; \
             exec 3>/dev/udp/{RIGHT}/4001 4>/dev/udp/{POD}/4002; while sleep 0.1; do echo a >&3; echo a >&4; done' \
             $'\\e[2J\\n\\xff' \"$(printf 'x%.0s' {{1..4096}})\"",
            group.display()
        );
        let talker = shell(&pair.left, &talk);
        Self { flags: flags.concat(), pair, folder, _talker: talker, _groups: groups, _server: server }
    }

    /// Does something while the DNS server answers again and again.
    fn answered<T>(&self, work: impl FnOnce() -> T) -> T {
        let message = forged(&[b"\x1b[2J\x07", b"a\nb\r\"", b"\xff\xfe", &[0x80; 63], b"Ok"], [10, 77, 0, 2]);
        let answering = || {
            answer(&self.pair, std::slice::from_ref(&message));
            sleep(Duration::from_millis(200));
        };
        meanwhile(answering, work)
    }

    /// What `weir` says on both of its outputs, to its end.
    fn said(&self, words: &[&str]) -> [Vec<String>; 2] {
        let (status, printed, said) = self.answered(|| Agent::run(&self.pair.left, &[], words));
        assert!(status.success(), "{said:?}");
        [printed, said]
    }

    /// What `weir run` says in five seconds.
    fn said_by_run(&self, output: &str) -> [Vec<String>; 2] {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        self.said(&[&["run", "-o", output, "--duration", "5s"], &flags[..]].concat())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A pod of a hostile name; and services of which one is no text at all.
fn cluster() -> ApiServer {
    let server = ApiServer::new();
    server.set(NODES, node("node-1", "zone-a"));
    let name = format!("{EVIL}{}", "x".repeat(4096));
    let pod = Pod { uid: "\n", name: &name, namespace: EVIL, node: "node-2", address: POD, owner: None };
    server.set(PODS, pod.object());
    server.set(SERVICES, service("shop", "\u{fffd}", "10.77.96.7"));
    server
}

/// Nothing that a terminal or a reader of lines takes for more than letters.
fn assert_harmless(lines: &[String], longest: usize) {
    for line in lines {
        let hides = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!line.chars().any(|c| c.is_control() || hides(c)), "{line:?}");
        assert!(line.len() <= longest, "{} bytes: {line}", line.len());
    }
}

/// One line, though seven followers ask again and again.
fn assert_said_once(said: &[String]) {
    let of_services: Vec<_> = said.iter().filter(|line| line.contains("tells of services")).collect();
    assert_eq!(of_services.len(), 1, "{said:?}");
    assert_harmless(said, 500);
}

#[test]
fn root_records_and_messages_are_lines_of_text() {
    let stage = Stage::new();
    let [printed, said] = stage.said_by_run("json");
    assert_said_once(&said);
    assert_harmless(&printed, 16 << 10);
    let records: Vec<Value> = printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let to_port = |port: u16| records.iter().find(|one| one["destination_port"] == port).expect("they talk");
    let (named, pod) = (to_port(4001), to_port(4002));
    for (record, field) in [
        (named, "source_process"),
        (named, "source_arguments"),
        (named, "source_container_name"),
        (named, "source_container_image"),
        (named, "source_container_labels"),
        (pod, "destination_pod"),
        (pod, "destination_namespace"),
        (pod, "destination_name"),
    ] {
        let text = record[field].as_str().unwrap_or_else(|| panic!("no {field}: {record}"));
        assert!(text.contains(SPELLED) && text.len() <= 2048, "{field}: {text}");
    }
    let name = named["destination_name"].as_str().expect("it was asked for");
    assert!(name.starts_with(r"\027[2j\007.a\010b\013"), "{name}");
    assert_eq!(
        (&named["destination_name_origin"], &pod["destination_name_origin"]),
        (&"dns".into(), &"kubernetes".into())
    );
}

#[test]
fn root_tables_and_top_are_lines_of_text() {
    let stage = Stage::new();
    let [printed, said] = stage.said_by_run("table");
    assert_said_once(&said);
    assert_harmless(&printed, 1 << 10);
    for words in [SPELLED, r"\027[2j"] {
        assert!(printed.iter().any(|line| line.contains(words)), "{words}: {printed:#?}");
    }
    // It asks the runtimes and clusters of this host only.
    for (group, words) in [("process", SPELLED), ("destination", r"\027[2j")] {
        let [printed, said] = stage.said(&["top", group, "--once", "--interval", "4s", "-i", INTERFACE]);
        assert_harmless(&printed, 2 << 10);
        assert_harmless(&said, 500);
        assert!(printed.iter().any(|line| line.contains(words)), "{group}: {printed:#?}");
    }
}

#[test]
fn root_the_status_is_a_screen_of_text() {
    let stage = Stage::new();
    let flags: Vec<_> = stage.flags.iter().map(String::as_str).collect();
    let agent = Agent::start_joined(&stage.pair.left, &flags);
    stage.answered(|| {
        wait_for("all have said their names", PATIENCE, || {
            let state = status(&agent.socket())["identity"].clone();
            let numbers = [
                &state["containers"]["named"],
                &state["kubernetes"]["pods"],
                &state["names"]["dns_addresses"],
            ];
            let are_known = numbers.iter().all(|number| number.as_u64() >= Some(1));
            (are_known && state["kubernetes"]["last_error"].is_string()).then_some(())
        })
    });
    for output in ["table", "json"] {
        let mut command = Command::new(binary());
        let screen = succeed(command.args(["status", "-o", output, "--socket"]).arg(agent.socket()));
        let lines: Vec<_> = screen.lines().map(str::to_owned).collect();
        assert_harmless(&lines, 32 << 10);
        assert!(screen.contains("what https://127.0.0.1:"), "{screen}");
    }
    assert_said_once(&agent.stop().stderr);
}

/// The kernel lets an interface, and the file system a namespace, be called nearly anything.
#[test]
fn root_interfaces_and_namespaces_are_lines_of_text() {
    let (outside, namespace) = (Namespace::new(), Namespace::with_suffix("\u{1b}[2J"));
    namespace.ip("link add e\u{1b}[2J type veth peer name other");
    for output in ["json", "table"] {
        let words = ["run", "--netns", namespace.name(), "-o", output, "--duration", "1s"];
        let (status, printed, said) = Agent::run(&outside, &[], &words);
        assert!(status.success(), "{said:?}");
        assert_harmless(&said, 500);
        assert_harmless(&printed, 1 << 10);
        let name = format!("{}/e{SPELLED}", namespace.name().replace('\u{1b}', r"\u{1b}"));
        assert!(said.iter().any(|line| line.contains(&name)), "{name}: {said:?}");
    }
}
