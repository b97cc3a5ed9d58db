//! TCP through iperf3, where that is installed.

use crate::bench::client::Pauses;
use crate::bench::network::{Network, Pair};
use crate::bench::reference::Measured;
use crate::interrupt;
use anyhow::{Result, bail};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Whether there is an iperf3 to run.
pub fn installed() -> bool {
    let mut command = Command::new("iperf3");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Bits per second that arrived through `pair`, over `duration` (whole seconds, at least one).
pub fn bits(network: &Network, pair: Pair, duration: Duration) -> Result<f64> {
    let run = |client: &mut Command| Ok(received(&client.output()?.stdout));
    let (bytes, seconds) = with_server(network, pair, duration, run)?;
    Ok(8.0 * bytes as f64 / seconds)
}

/// The bytes that arrived, with pauses. Those of the sender are no silence to TCP: they are far shorter than the shortest
/// time after which it sends again or starts slowly.
pub fn bytes(network: &Network, pair: Pair, duration: Duration, pauses: Pauses) -> Result<Measured> {
    let run = |client: &mut Command| {
        let ended = pauses.run("iperf3", client, duration)?;
        let received = received(ended.output.as_bytes());
        received.map(|(bytes, seconds)| ended.measured(bytes, seconds)).transpose()
    };
    with_server(network, pair, duration, run)
}

/// Starts a server, and has `run` run clients until one has reached it.
fn with_server<T>(
    network: &Network,
    pair: Pair,
    duration: Duration,
    run: impl Fn(&mut Command) -> Result<Option<T>>,
) -> Result<T> {
    let mut server = network.receiver.command("iperf3");
    server.args(["--server", "--one-off"]).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Server(interrupt::spawn(&mut server)?);
    let receiver = pair.receiver().to_string();
    let seconds = duration.as_secs().max(1).to_string();
    // The server takes a moment to listen.
    for _ in 0..20 {
        interrupt::check()?;
        thread::sleep(Duration::from_millis(50));
        let mut client = network.sender.command("iperf3");
        if let Some(result) = run(client.args(["--client", &receiver, "--json", "--time", &seconds]))? {
            return Ok(result);
        }
    }
    bail!("iperf3 does not reach its server")
}

/// How many bytes arrived, and in how many seconds, by the client's report; none if it reached nobody.
fn received(report: &[u8]) -> Option<(u64, f64)> {
    let report: Value = serde_json::from_slice(report).ok()?;
    let sum = &report["end"]["sum_received"];
    Some((sum["bytes"].as_u64()?, sum["seconds"].as_f64()?))
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_is_in_the_last_part_of_the_report() {
        let report = r#"{"start": {}, "intervals": [{"sum": {"seconds": 1.0, "bytes": 5}}], "end": {
            "sum_sent": {"seconds": 2.0, "bytes": 80, "retransmits": 0},
            "sum_received": {"start": 0, "end": 2.04, "seconds": 2.04, "bytes": 75, "bits_per_second": 294}}}"#;
        assert_eq!(received(report.as_bytes()), Some((75, 2.04)));
        let refused = r#"{"start": {}, "intervals": [], "end": {}, "error": "unable to connect to server"}"#;
        assert_eq!(received(refused.as_bytes()), None);
        assert_eq!(received(b""), None);
    }
}
