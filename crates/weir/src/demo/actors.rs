//! The processes on stage. They die with the demo, whatever kills it: see `actor`.

use super::stage::{DB, DB_PORT, DNS, DNS_PORT, HOSTS, Host, Stage, WEB, WEB_PORT};
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Servers, and the table of sockets in which they show that they are ready.
const SERVERS: [(Host, &str, u16); 3] =
    [(WEB, "tcp", WEB_PORT), (DB, "tcp", DB_PORT), (DNS, "udp", DNS_PORT)];
/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Running actors; killed when dropped.
pub struct Actors {
    stage: Stage,
    stand_ins: bool,
    running: Vec<(&'static str, Child)>,
}

impl Actors {
    /// Nobody yet.
    pub fn new(stage: Stage, stand_ins: bool) -> Self {
        Self { stage, stand_ins, running: Vec::new() }
    }

    /// Starts the servers and waits until they listen, or until `is_over`.
    ///
    /// # Errors
    /// A server ends, or does not listen in time.
    pub fn start_servers(&mut self, is_over: impl Fn() -> bool) -> Result<()> {
        for (host, ..) in &SERVERS {
            self.start(host)?;
        }
        let deadline = Instant::now() + PATIENCE;
        for (host, table, port) in &SERVERS {
            while !self.listens(host, table, *port)? {
                if is_over() {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    bail!(
                        "{} does not listen on {}:{port}: {}",
                        host.name,
                        host.address,
                        self.words_of(host)
                    );
                }
                sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Starts everybody who is not a server.
    ///
    /// # Errors
    /// There is no process to be had.
    pub fn start_clients(&mut self) -> Result<()> {
        let is_server = |host: &Host| SERVERS.iter().any(|(server, ..)| server == host);
        HOSTS.iter().filter(|host| !is_server(host)).try_for_each(|host| self.start(host))
    }

    fn start(&mut self, host: &Host) -> Result<()> {
        let words = File::create(self.words_file(host)).context("cannot write below /run")?;
        let mut command = Command::new(std::env::current_exe().context("cannot find myself")?);
        command.args(["demo-actor", "host", host.name, "--demo", &self.stage.pid.to_string()]);
        if self.stand_ins {
            command.arg("--stand-ins");
        }
        // A group of its own: Ctrl-C at the terminal is for us, and the group ends as one.
        command.process_group(0).stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
        let child = command.spawn().with_context(|| format!("cannot start {}", host.name))?;
        self.running.push((host.name, child));
        Ok(())
    }

    /// Whether a server has its socket: asked of the kernel, not with a packet that would be counted.
    fn listens(&mut self, host: &Host, table: &str, port: u16) -> Result<bool> {
        let child = self.running.iter_mut().find(|(name, _)| *name == host.name);
        let Some((_, child)) = child else { return Ok(false) };
        if let Some(status) = child.try_wait()? {
            bail!("{} could not start ({status}): {}", host.name, self.words_of(host));
        }
        let sockets = fs::read_to_string(format!("/proc/{}/net/{table}", child.id())).unwrap_or_default();
        Ok(has_socket(&sockets, host.address, port))
    }

    /// The last words of a host's process.
    fn words_of(&self, host: &Host) -> String {
        let words = fs::read_to_string(self.words_file(host)).unwrap_or_default();
        words.lines().rfind(|line| !line.is_empty()).unwrap_or("it did not say why").to_string()
    }

    fn words_file(&self, host: &Host) -> std::path::PathBuf {
        self.stage.directory().join(format!("{}.log", host.name))
    }

    /// Ends everybody, and what they have started: a server may have a process for each connection.
    pub fn end(&mut self) {
        for (_, child) in &mut self.running {
            // Of one that has ended by itself the number may be somebody else's by now.
            if matches!(child.try_wait(), Ok(None)) {
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            }
        }
        for (_, mut child) in self.running.drain(..) {
            let _ = child.wait();
        }
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether `/proc/net/tcp` or `udp` has a socket bound to this address that waits for packets: TCP in
/// LISTEN (0A), UDP unconnected (07).
fn has_socket(sockets: &str, address: Ipv4Addr, port: u16) -> bool {
    let local = format!("{:08X}:{port:04X}", u32::from_ne_bytes(address.octets()));
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (bound, _remote, state) = (words.next(), words.next(), words.next());
        bound == Some(&local) && matches!(state, Some("0A" | "07"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn the_kernels_tables_are_read() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let read = |table| fs::read_to_string(format!("/proc/self/net/{table}")).expect("a table");
        let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("bound").port();
        let (tcp_port, udp_port) = (port(tcp.local_addr()), port(udp.local_addr()));
        assert!(has_socket(&read("tcp"), Ipv4Addr::LOCALHOST, tcp_port));
        assert!(has_socket(&read("udp"), Ipv4Addr::LOCALHOST, udp_port));
        assert!(!has_socket(&read("tcp"), WEB.address, tcp_port));
    }
}
