use super::source::Source;
use super::*;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of the test's own, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weir-containers-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
        fs::write(path, text).expect("it is written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An id of full length.
pub fn id(number: u64) -> String {
    format!("{number:064x}")
}

fn container(number: u64, runtime: Runtime) -> Container {
    Container { id: id(number), runtime }
}

/// As Docker keeps it.
fn write_docker(folder: &Folder, number: u64, name: &str) {
    let text = format!(
        r#"{{"ID":"{}","Name":"/{name}","Config":{{"Image":"nginx:1.27","Labels":{{}}}}}}"#,
        id(number)
    );
    folder.write(&format!("containers/{}/config.v2.json", id(number)), &text);
}

fn asking(sources: Vec<Source>) -> Containers {
    let mut containers = Containers::off();
    containers.start(Asker::of(sources)).expect("a thread");
    containers
}

fn name(containers: &Containers, container: &Container) -> Option<String> {
    containers.details(container).and_then(|details| details.name.clone())
}

/// Until no answer is missing.
fn answered(containers: &mut Containers) {
    let until = Instant::now() + Duration::from_secs(10);
    while containers.waiting > 0 {
        containers.hear();
        assert!(Instant::now() < until, "no answer: {containers:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn who_is_met_has_a_name_when_records_leave() {
    let folder = Folder::new("met");
    write_docker(&folder, 1, "web");
    let mut containers = asking(vec![Source::folder(Runtime::Docker, folder.path())]);
    let web = container(1, Runtime::Docker);
    containers.meet(&web, Instant::now());
    containers.settle(PATIENCE);
    assert_eq!(name(&containers, &web).as_deref(), Some("web"));
    let image = containers.details(&web).and_then(|details| details.image.clone());
    assert_eq!(image.as_deref(), Some("nginx:1.27"));
    let state = containers.state();
    assert_eq!((state.known, state.named, state.failed), (1, 1, 0));
    assert_eq!(state.sources[0].problem, None);
}

#[test]
fn only_its_own_runtime_is_asked_unless_the_path_does_not_tell() {
    let folder = Folder::new("own");
    write_docker(&folder, 1, "web");
    let mut containers = asking(vec![Source::folder(Runtime::Docker, folder.path())]);
    let (other, unknown) = (container(1, Runtime::Podman), container(1, Runtime::Unknown));
    containers.meet(&other, Instant::now());
    answered(&mut containers);
    assert_eq!(name(&containers, &other), None);
    containers.meet(&unknown, Instant::now() + AGAIN);
    answered(&mut containers);
    assert_eq!(name(&containers, &unknown).as_deref(), Some("web"));
}

#[test]
fn a_new_name_is_learned_and_one_that_is_gone_keeps_its_own() {
    let folder = Folder::new("renamed");
    write_docker(&folder, 1, "web_old");
    let mut containers = asking(vec![Source::folder(Runtime::Docker, folder.path())]);
    let (web, now) = (container(1, Runtime::Docker), Instant::now());
    let mut met = |after: Duration| {
        containers.meet(&web, now + after);
        answered(&mut containers);
        name(&containers, &web)
    };
    assert_eq!(met(Duration::ZERO).as_deref(), Some("web_old"));
    write_docker(&folder, 1, "web");
    assert_eq!(met(FRESH - Duration::from_secs(1)).as_deref(), Some("web_old"), "not asked so soon");
    assert_eq!(met(FRESH).as_deref(), Some("web"));
    fs::remove_dir_all(folder.path().join("containers")).expect("it is removed");
    assert_eq!(met(3 * FRESH).as_deref(), Some("web"));
}

#[test]
fn names_that_paths_have_are_not_asked_for() {
    let mut containers = Containers::off();
    let named = [("web", Runtime::Lxc), ("debian-12", Runtime::Unknown), ("../../etc", Runtime::Unknown)];
    for (id, runtime) in named {
        let container = Container { id: id.into(), runtime };
        containers.meet(&container, Instant::now());
        assert_eq!(name(&containers, &container).as_deref(), Some(id));
    }
    containers.meet(&container(1, Runtime::Docker), Instant::now());
    assert_eq!(containers.state().known, 3);
}

#[test]
fn memory_is_bounded_and_who_is_used_stays() {
    let mut containers = Containers { capacity: 3, ..Containers::off() };
    let lxc = |number: u64| Container { id: format!("c{number}"), runtime: Runtime::Lxc };
    for number in 0..100 {
        containers.meet(&lxc(number), Instant::now());
        assert!(number == 0 || containers.details(&lxc(0)).is_some(), "after {number}");
    }
    let state = containers.state();
    assert_eq!((state.known, state.evicted, containers.turns.len()), (3, 97, 3));
}

/// Nobody accepts: the question hangs, the agent does not.
#[test]
fn a_runtime_that_hangs_is_waited_for_once_and_not_long() {
    let folder = Folder::new("hangs");
    let socket = folder.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let mut containers = asking(vec![Source::socket(Runtime::Docker, &socket)]);
    let began = Instant::now();
    for number in 0..WAITING as u64 * 2 {
        containers.meet(&container(number, Runtime::Docker), Instant::now());
        containers.settle(PATIENCE);
    }
    assert!(began.elapsed() < engine::PATIENCE, "{:?}", began.elapsed());
    assert!(containers.state().unasked > 0);
    answered(&mut containers);
    let state = containers.state();
    assert!(state.failed >= WAITING as u64 && state.named == 0, "{state:?}");
    assert_eq!(state.sources[0].problem.as_deref(), Some("no answer within 2s"));
}

#[test]
fn a_place_that_does_not_exist_is_no_failure() {
    let folder = Folder::new("absent");
    let sources = vec![
        Source::socket(Runtime::Docker, folder.path().join("docker.sock")),
        Source::folder(Runtime::Podman, folder.path().join("podman")),
        Source::folder(Runtime::Containerd, folder.path().join("containerd")),
    ];
    let mut containers = asking(sources);
    assert_eq!(containers.state().sources, []);
    containers.meet(&container(1, Runtime::Unknown), Instant::now());
    answered(&mut containers);
    let state = containers.state();
    assert_eq!((state.known, state.named, state.failed, state.sources.len()), (1, 0, 0, 0));
}
