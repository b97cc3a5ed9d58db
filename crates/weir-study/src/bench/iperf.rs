//! TCP through iperf3, where that is installed.

use crate::bench::network::{Network, Pair};
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

/// Gbit/s that arrived through `pair`, over `duration` (whole seconds, at least one).
pub fn gigabits(network: &Network, pair: Pair, duration: Duration) -> Result<f64> {
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
        let output = client.args(["--client", &receiver, "--json", "--time", &seconds]).output()?;
        let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if let Some(bits) = result["end"]["sum_received"]["bits_per_second"].as_f64() {
            return Ok(bits / 1e9);
        }
    }
    bail!("iperf3 does not reach its server")
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
