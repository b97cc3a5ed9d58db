//! What containers are called: by a real Podman, and by runtimes that the test plays.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::control::status;
use weir_tests::conversation::{Conversation, Process};
use weir_tests::docker::{inspected, serve};
use weir_tests::groups::Groups;
use weir_tests::netns::succeed;
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::shell::{Shell, shell};
use weir_tests::sockets::snapshot;
use weir_tests::wait_for;
use weir_tests::witness::settled;

const PATIENCE: Duration = Duration::from_secs(10);
const POD: &str = "kubepods.slice/kubepods-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice";

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weirt-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id(word: &str) -> String {
    word.repeat(64 / word.len())
}

/// A server in one control group, and somebody in another who says hello to it. Who is gone within a tenth of a second
/// has no known control group.
fn talk(pair: &Pair, server: &Path, client: &Path) {
    let serve = format!("echo $$ >{}; exec busybox nc -l -p 5000", server.display());
    let mut server = shell(&pair.right, &serve);
    listens(pair);
    let hello = format!("echo $$ >{}; echo hello >/dev/tcp/{RIGHT}/5000; sleep 0.3", client.display());
    let mut client = shell(&pair.left, &hello);
    assert!(client.0.wait().expect("it ends").success());
    heard(&mut server);
    settled(&pair.left, INTERFACE);
}

fn listens(pair: &Pair) {
    let listens = || pair.right.run("ss", &["-tlnH"]).contains(":5000").then_some(());
    wait_for("somebody listens", PATIENCE, listens);
}

fn heard(server: &mut Shell) {
    server.0.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 6]).expect("it hears");
}

fn talked(outcome: &Outcome) -> &Conversation {
    let mut found = outcome.conversations.iter().filter(|one| one.destination.1 == Some(5000));
    found.next().unwrap_or_else(|| panic!("nobody talked: {:?}", outcome.stderr))
}

fn called(end: &Option<Process>) -> [Option<&str>; 3] {
    let end = end.as_ref().expect("the process is known");
    [&end.container_name, &end.container_image, &end.container_labels].map(|text| text.as_deref())
}

/// One conversation, the first of both, over at once: the filter already knows what they are called.
#[test]
fn root_both_ends_have_names_from_docker_and_from_containerd() {
    let (pair, folder, mut groups) = (Pair::new(), Folder::new("both"), Groups::new());
    let (web, client) = (id("4f1d2a7c"), id("0123456789abcdef"));
    let server_group = groups.make(&format!("weirt.slice/docker-{web}.scope"));
    let client_group = groups.make(&format!("{POD}/cri-containerd-{client}.scope"));
    let socket = folder.0.join("docker.sock");
    let labels = r#"{"com.docker.compose.service":"web","token":"hunter2"}"#;
    serve(&socket, BTreeMap::from([(web, inspected("shop-web-1", "nginx:1.27", labels))]));
    let bundle = folder.0.join("io.containerd.runtime.v2.task/k8s.io").join(client);
    fs::create_dir_all(&bundle).expect("a folder");
    let annotations = r#"{"annotations":{"io.kubernetes.cri.container-name":"cart",
        "io.kubernetes.cri.image-name":"registry.example/cart:7","io.kubernetes.cri.sandbox-name":"cart-5d9"}}"#;
    fs::write(bundle.join("config.json"), annotations).expect("it is written");
    let runtimes = format!("docker=unix://{},containerd={}", socket.display(), folder.0.display());
    let args = ["-i", INTERFACE, "--container-runtimes", &runtimes, "--container-label", "com.docker.*"];
    let filter = ["--filter", "container_name == 'cart'"];
    let agent = Agent::start_joined(&pair.left, &[&args[..], &filter].concat());
    talk(&pair, &server_group, &client_group);
    let state = status(&agent.socket())["identity"]["containers"].clone();
    let outcome = agent.stop();
    let found = talked(&outcome);
    assert_eq!(called(&found.source_process), [Some("cart"), Some("registry.example/cart:7"), None]);
    let labels = Some("com.docker.compose.service=web");
    assert_eq!(called(&found.destination_process), [Some("shop-web-1"), Some("nginx:1.27"), labels]);
    assert_eq!((state["known"].as_u64(), state["failed"].as_u64()), (Some(2), Some(0)), "{state}");
}

/// Whoever starts a container chooses its words; who else could be asked says nothing at all.
#[test]
fn root_hostile_words_and_a_runtime_that_hangs_break_nothing() {
    let (pair, folder, mut groups) = (Pair::new(), Folder::new("hostile"), Groups::new());
    let (evil, unheard) = (id("666"), id("5"));
    let evil = format!("{evil}6");
    let server_group = groups.make(&format!("weirt.slice/docker-{evil}.scope"));
    let client_group = groups.make(&format!("weirt.slice/libpod-{unheard}.scope"));
    let [docker, podman] = ["docker.sock", "podman.sock"].map(|name| folder.0.join(name));
    let _hangs = UnixListener::bind(&podman).expect("a socket");
    let words = format!(r"\u001b[2J\u001b]0;x\u0007\n\\\r\u0000\u202e\u009b{}", "ü".repeat(4096));
    let labels = format!(r#"{{"a":"x,b=y\\","{words}":"{words}"}}"#);
    serve(&docker, BTreeMap::from([(evil, inspected(&words, &words, &labels))]));
    let runtimes = format!("docker={},podman={}", docker.display(), podman.display());
    let args = ["-i", INTERFACE, "--container-runtimes", &runtimes, "--container-label", "*"];
    let agent = Agent::start_joined(&pair.left, &args);
    talk(&pair, &server_group, &client_group);
    let outcome = agent.stop();
    let found = talked(&outcome);
    assert_eq!(called(&found.source_process), [None; 3]);
    let words = called(&found.destination_process).map(|words| words.expect("there are some"));
    for (words, longest) in words.iter().zip([256, 256, 2048]) {
        assert!(words.len() <= longest && !words.chars().any(char::is_control), "{words}");
    }
    assert!(words[0].starts_with(r"\u{1b}[2J\u{1b}]0;x"), "{}", words[0]);
    outcome.assert_observed();
}

/// Names that may not be asked for are missed in one line, and packets are not.
#[test]
fn root_a_runtime_that_lets_nobody_in_is_said_at_the_start() {
    let (pair, folder) = (Pair::new(), Folder::new("refuses"));
    let state = folder.0.join("containerd");
    fs::create_dir(&state).expect("a folder");
    succeed(Command::new("chmod").arg("0700").arg(&state));
    succeed(Command::new("chown").arg("65534").arg(&state));
    let runtimes = format!("containerd={}", state.display());
    let no_override = "--bounding-set=-dac_override,-dac_read_search";
    let (wrapper, args) =
        (["setpriv", no_override], ["run", "-i", INTERFACE, "--duration", "1s", "-o", "json"]);
    let args = [&args[..], &["--container-runtimes", &runtimes]].concat();
    let (ended, _, stderr) = Agent::run(&pair.left, &wrapper, &args);
    assert!(ended.success(), "{stderr:?}");
    let said: Vec<_> = stderr.iter().filter(|line| line.contains("permission denied")).collect();
    assert_eq!(said.len(), 1, "{stderr:?}");
    assert!(
        said[0].contains(&format!("containers of containerd have no names: {}", state.display())),
        "{said:?}"
    );
}

/// A real Podman in a mount namespace of its own, its storage in a folder.
struct Podman {
    folder: Folder,
    child: Child,
}

/// Runs commands with `podman`, where control groups of version 2 are where it looks for them: below one of the test's
/// own, since crun moves all processes of the group that it takes for the root, and switches controllers on there.
const PODMAN: &str = r#"
    mount --make-rprivate / && umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup || exit 1
    mkdir -p /sys/fs/cgroup/weirt-podman && mount --bind /sys/fs/cgroup/weirt-podman /sys/fs/cgroup || exit 1
    podman() { command podman --root "$1/root" --runroot "$1/run" --cgroup-manager cgroupfs --runtime crun \
        --storage-driver vfs "${@:2}"; }
"#;
/// What a container of busybox and nothing else needs; no limit is set, which needs more rights than Weir.
const RUN: &str = r#"
    for file in $(command -v busybox) $(ldd $(command -v busybox) | grep -o '/[^ ]*'); do
        mkdir -p $1/files/$(dirname $file) && cp -L $file $1/files/$file || exit 1
    done
    tar -C $1/files -c . | podman $1 import -q - example.com/weirt:7 >&2
    podman $1 run --rm --name weirt-web --label team=blue --network host --privileged --pids-limit -1 \
        --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 example.com/weirt:7 busybox nc -l -p 5000
"#;
const TIDY: &str = "podman $1 rm -fat 0; podman $1 rmi -fa; cd /sys/fs/cgroup; rmdir libpod_parent/*/ libpod_parent init
    cd /; umount /sys/fs/cgroup; for i in $(seq 50); do rmdir /sys/fs/cgroup/weirt-podman && break; sleep 0.1; done";

impl Podman {
    fn serve(pair: &Pair) -> Self {
        let folder = Folder::new("podman");
        let mut command = Self::command(&folder, RUN);
        let spawn = || command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("podman runs");
        Self { child: pair.right.enter(spawn), folder }
    }

    fn command(folder: &Folder, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["-m", "bash", "-c", &format!("{PODMAN}{script}"), "podman"]).arg(&folder.0);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = Self::command(&self.folder, TIDY).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn root_a_container_of_podman_has_the_name_that_podman_gave_it() {
    let pair = Pair::new();
    let podman = Podman::serve(&pair);
    wait_for("the container listens", 6 * PATIENCE, || {
        pair.right.run("ss", &["-tlnH"]).contains(":5000").then_some(())
    });
    let runtimes = format!("podman={}", podman.folder.0.join("root").display());
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--container-runtimes", &runtimes]);
    let now = snapshot(&pair.right, "sockets", &["--container-runtimes", &runtimes]);
    let listens = now.iter().find(|line| line["local_port"] == 5000).expect("it listens");
    assert_eq!(
        (&listens["container_name"], &listens["container_image"]),
        (&"weirt-web".into(), &"example.com/weirt:7".into())
    );
    let mut client = shell(&pair.left, &format!("echo hello >/dev/tcp/{RIGHT}/5000; read"));
    sleep(Duration::from_millis(500));
    settled(&pair.left, INTERFACE);
    let _ = client.0.kill();
    let outcome = agent.stop();
    let found = talked(&outcome);
    assert_eq!(called(&found.destination_process), [Some("weirt-web"), Some("example.com/weirt:7"), None]);
    let process = found.destination_process.as_ref().expect("it is known");
    assert_eq!(process.container_runtime.as_deref(), Some("podman"));
}
