//! What the tests of names stand on: files of their own, and a server for names.

use std::process::Command;
use std::time::Duration;
use weir_tests::agent::Outcome;
use weir_tests::conversation::{Conversation, Names};
use weir_tests::folder::Folder;
use weir_tests::netns::succeed;
use weir_tests::pair::{Pair, RIGHT};
use weir_tests::shell::{Shell, shell};
use weir_tests::wait_for;

/// Where the hosts file of a test is; there need not be one.
pub fn hosts_of(folder: &Folder) -> String {
    folder.path("hosts")
}

/// dnsmasq at the right end, with records of the test's own.
pub struct Resolver {
    configuration: String,
    _server: Shell,
}

impl Resolver {
    pub fn start(pair: &Pair, folder: &Folder, records: &[&str]) -> Self {
        let configuration = folder.write("resolv.conf", format!("nameserver {RIGHT}\noptions timeout:2\n"));
        let command = format!(
            "exec dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts \
             --bind-interfaces --listen-address={RIGHT} {}",
            records.join(" ")
        );
        let server = shell(&pair.right, &command);
        wait_for("dnsmasq listens", Duration::from_secs(10), || {
            pair.right.run("ss", &["-ulnH"]).contains(":53 ").then_some(())
        });
        Self { configuration, _server: server }
    }

    /// What runs a command that asks this server.
    pub fn wrapper(&self) -> Vec<String> {
        let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", self.configuration);
        ["unshare", "-m", "sh", "-c", &script, "sh"].map(String::from).to_vec()
    }

    /// Runs a script at the left end that asks this server, and returns what it prints.
    pub fn run(&self, pair: &Pair, script: &str) -> String {
        let wrapper = self.wrapper();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).args(["sh", "-c", script]);
        pair.left.enter(|| succeed(&mut command))
    }
}

/// The port that curl says it had.
pub fn local_port(said: &str) -> u16 {
    said.trim().parse().unwrap_or_else(|_| panic!("no port: {said}"))
}

/// What the right end is called in the record of what was sent to this port of it.
pub fn names_to(outcome: &Outcome, port: u16) -> &Names {
    &to_port(outcome, port).destination_names
}

/// What the left end is called there.
pub fn source_names_of(outcome: &Outcome, port: u16) -> &Names {
    &to_port(outcome, port).source_names
}

fn to_port(outcome: &Outcome, port: u16) -> &Conversation {
    let mut found = outcome.conversations.iter().filter(|one| one.destination.1 == Some(port));
    found.next().unwrap_or_else(|| panic!("none to {port}: {:?}", outcome.conversations))
}
