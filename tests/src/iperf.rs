//! Bulk TCP between the two ends of a pair.

use crate::lines::Lines;
use crate::netns::Namespace;
use crate::wait_for;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Sends `bytes` from one namespace to an address in the other, and waits for both ends to finish.
pub fn iperf(from: &Namespace, to: &Namespace, address: &str, bytes: &str) {
    let mut server = to
        .enter(|| Command::new("iperf3").args(["-s", "-1", "--forceflush"]).stdout(Stdio::piped()).spawn())
        .expect("iperf3");
    let said = Lines::of(server.stdout.take().expect("piped"));
    wait_for("iperf3 listens", Duration::from_secs(10), || {
        said.look(|lines| lines.iter().any(|line| line.contains("listening"))).then_some(())
    });
    from.run("timeout", &["60", "iperf3", "-c", address, "-n", bytes]);
    wait_for("iperf3 ends", Duration::from_secs(10), || server.try_wait().expect("iperf3"));
}
