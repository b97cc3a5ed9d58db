//! Requests by the thousand, a connection for each: nginx and wrk, where they are installed.

use crate::bench::client::Pauses;
use crate::bench::network::{Network, Pair};
use crate::bench::reference::Measured;
use crate::interrupt;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const PORT: u16 = 8080;
/// One worker, since the client wants a CPU too; it closes each connection when it has answered.
const CONFIGURATION: &str = "daemon off; worker_processes 1; error_log stderr emerg; pid FOLDER/pid;
events { worker_connections 4096; }
http {
    access_log off; keepalive_timeout 0;
    client_body_temp_path FOLDER; proxy_temp_path FOLDER; fastcgi_temp_path FOLDER;
    uwsgi_temp_path FOLDER; scgi_temp_path FOLDER;
    server { listen PORT; location / { return 200 'weir'; } }
}
";

/// Whether there are both; if not, says what to install.
pub fn installed() -> bool {
    let there = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let both = there("nginx") && there("wrk");
    if !both {
        println!(
            "\nidentity, connections: not measured without nginx and wrk: apt-get install nginx-light wrk"
        );
    }
    both
}

/// nginx at the receiving end.
pub struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts it; it listens a moment later.
    pub fn start(network: &Network) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("weirb-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let text = CONFIGURATION.replace("FOLDER", &folder.to_string_lossy());
        let file = folder.join("nginx.conf");
        fs::write(&file, text.replace("PORT", &PORT.to_string()))?;
        let mut command = network.receiver.command("nginx");
        command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        let server = Self { child: interrupt::spawn(&mut command)?, folder };
        thread::sleep(Duration::from_millis(300));
        Ok(server)
    }

    /// Requests through `pair`, over `duration` (whole seconds, at least one).
    pub fn requests(
        &self,
        network: &Network,
        pair: Pair,
        duration: Duration,
        pauses: Pauses,
    ) -> Result<Measured> {
        let seconds = format!("{}s", duration.as_secs().max(1));
        let mut client = network.sender.command("wrk");
        client.args(["-t", "1", "-c", "16", "-d", &seconds]);
        client.arg(format!("http://{}:{PORT}/", pair.receiver()));
        let ended = pauses.run("wrk", &mut client, duration)?;
        match answered(&ended.output) {
            Some((requests, rate)) => ended.measured(requests, requests as f64 / rate),
            None => bail!("wrk does not reach nginx: {}", ended.errors.trim()),
        }
    }
}

/// How many requests were answered, and how many per second, by wrk's report: it gives the time that it took with two digits
/// only. None if there were none.
fn answered(report: &str) -> Option<(u64, f64)> {
    let requests = report.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok())?;
    let rate = report.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    (requests > 0 && rate > 0.0).then_some((requests, rate))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its worker goes with it when it is told, not when it is killed.
        let pid = i32::try_from(self.child.id()).map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM));
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_wrk_has_a_number_and_a_rate() {
        let report = "Running 2s test @ http://172.31.2.2:8080/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.24ms    1.11ms  15.92ms   96.11%
    Req/Sec    11.83k     1.02k   13.07k    80.95%
  24753 requests in 2.10s, 3.42MB read
Requests/sec:  11787.43
Transfer/sec:      1.63MB
";
        assert_eq!(answered(report), Some((24753, 11787.43)));
        assert_eq!(answered("  0 requests in 1.00s, 0.00B read\nRequests/sec:      0.00\n"), None);
        assert_eq!(answered("unable to connect to 172.31.2.2:8080 Connection refused\n"), None);
    }
}
