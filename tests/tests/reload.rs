//! `weir reload`: the whole of a new configuration, or nothing of it.

use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};

const SOON: Duration = Duration::from_secs(10);

/// An agent with a configuration of its own.
struct Configured {
    agent: Agent,
    directory: Directory,
}

/// Removed with all that is in it.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Configured {
    fn start(pair: &Pair, name: &str, text: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("weir-reload-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join("weir.yaml"), text).expect("a file");
        let file = directory.join("weir.yaml").display().to_string();
        let socket = directory.join("socket").display().to_string();
        let agent = Agent::start(&pair.left, &["--config", &file, "--socket", &socket]);
        Self { agent, directory: Directory(directory) }
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.directory.0.join("weir.yaml"), text).expect("a file");
    }

    /// Whether it was done, and what was said: always one line.
    fn reload(&self, pair: &Pair) -> (bool, String) {
        let socket = self.directory.0.join("socket").display().to_string();
        let (status, stdout, stderr) = Agent::run(&pair.left, &[], &["reload", "--socket", &socket]);
        let said = [stdout, stderr].concat();
        assert_eq!(said.len(), 1, "{said:?}");
        (status.success(), said[0].clone())
    }
}

fn base() -> String {
    format!(
        "interface: [{INTERFACE}]\noutput: json\ninterval: 100ms\nrule: [deny source_address in 10.88.1.0/24]\n"
    )
}

#[test]
fn root_a_configuration_that_cannot_be_leaves_the_old_one() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let configured = Configured::start(&pair, "refused", &base());
    let file = configured.directory.0.join("weir.yaml");
    let text = base();
    let cases: [(&str, String); 7] = [
        ("weir.yaml:", text.clone() + "interval: [\n"),
        ("idle_timeot", text.clone() + "idle_timeot: 3s\n"),
        ("there is no field 'prot'", text.replace("source_address in 10.88.1.0/24", "prot == 3")),
        ("bytes is not known of each packet", text.replace("source_address in 10.88.1.0/24", "bytes > 3")),
        ("memory-budget cannot change", text.clone() + "memory_budget: 32MiB\nidle_timeout: 3s\n"),
        ("clock cannot change", text.clone() + "clock: fine\n"),
        ("output cannot change", text.replace("json", "none")),
    ];
    for (expected, text) in &cases {
        configured.write(text);
        let (done, said) = configured.reload(&pair);
        assert!(!done, "{said}");
        assert!(said.contains(expected), "{said}: {expected}");
    }
    let many: Vec<_> = (0..1025).map(|port| format!("'deny vlan == 3 and source_port == {port}'")).collect();
    configured
        .write(text.replace("[deny source_address in 10.88.1.0/24]", &format!("[{}]", many.join(", "))));
    let (done, said) = configured.reload(&pair);
    assert!(!done && said.contains("they make 1025 rows"), "{said}");
    fs::remove_file(&file).expect("it was there");
    let (done, said) = configured.reload(&pair);
    assert!(!done && said.contains("weir.yaml"), "{said}");
    fs::create_dir(&file).expect("a directory in its place");
    assert!(!configured.reload(&pair).0);
    fs::remove_dir(&file).expect("it was there");

    // After all this the first rule holds, and nothing else.
    let floods = [1, 2].map(|mark| Flood { packets: 1_000, flows: 10, mark });
    floods.iter().for_each(|flood| {
        flood.send(&injector);
    });
    let outcome = configured.agent.stop();
    outcome.assert_exact();
    let ledger = outcome.ledger(INTERFACE, "egress");
    assert_eq!((ledger.seen.packets, ledger.filtered.packets), (2_000, 1_000));
}

#[test]
fn root_a_new_configuration_is_followed_by_reload_and_by_sighup() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    let configured = Configured::start(&pair, "followed", &base());
    let flood = Flood { packets: 1_000, flows: 10, mark: 1 };
    flood.send(&injector);
    configured.write(
        base().replace("deny source_address in 10.88.1.0/24", "allow")
            + "filter: source_port != 1024\nidle_timeout: 2s\n",
    );
    let (done, said) = configured.reload(&pair);
    assert!(
        done && said.contains("3 settings changed") && said.contains("idle-timeout 2s (was 15s)"),
        "{said}"
    );
    flood.send(&injector);
    configured.write(base() + "idle_timeout: 2s\n");
    configured.agent.signal(Signal::SIGHUP);
    configured.agent.wait_for_line("2 settings changed", SOON);
    flood.send(&injector);
    let outcome = configured.agent.stop();
    outcome.assert_exact();
    let ledger = outcome.ledger(INTERFACE, "egress");
    // The first and the third are denied, of the second one flow of ten is not written.
    assert_eq!((ledger.seen.packets, ledger.filtered.packets), (3_000, 2_100));
}
