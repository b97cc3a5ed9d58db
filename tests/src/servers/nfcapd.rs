//! nfcapd: a collector of IPFIX, and nfdump, which reads what it has collected.

use crate::folder::Folder;
use crate::netns::Namespace;
use crate::servers::wait_for_port;
use crate::shell::{Shell, shell};
use crate::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A running collector.
pub struct Nfcapd {
    server: Shell,
}

/// What it has of a flow: source and destination address and port, packets and bytes.
pub type Collected = (String, u16, String, u16, u64, u64);

impl Nfcapd {
    /// Starts it at this port of the loopback; it writes into a folder of this name.
    pub fn start(namespace: &Namespace, folder: &Folder, name: &str, port: u16) -> Self {
        let directory = folder.path(name);
        std::fs::create_dir_all(&directory).expect("a folder");
        // Templates of all fields are large; a burst waits in a large buffer.
        let script = format!(
            "exec nfcapd -w {directory} -b 127.0.0.1 -p {port} -B 8000000 -t 3600 >{directory}.log 2>&1"
        );
        let server = shell(namespace, &script);
        wait_for_port(namespace, "-ulnH", port);
        Self { server }
    }

    /// Ends it in order: then all is in its files.
    pub fn stop(mut self) {
        end(&mut self.server.0);
    }
}

/// Ends nfcapd in order. It hears of that when it has a datagram or a signal: one that comes after it has looked, and before it
/// waits, is heard with the next one.
pub fn end(server: &mut Child) {
    let (pid, mut told) = (Pid::from_raw(server.id() as i32), None::<Instant>);
    wait_for("nfcapd ends", Duration::from_secs(30), || {
        if told.is_none_or(|told| told.elapsed() > Duration::from_secs(1)) {
            kill(pid, Signal::SIGTERM).expect("it runs");
            told = Some(Instant::now());
        }
        server.try_wait().ok()?
    });
}

/// All flows with ports that lie in a folder.
pub fn collected(folder: &Folder, name: &str) -> Vec<Collected> {
    let format = "fmt:%sa,%sp,%da,%dp,%pkt,%byt";
    let output =
        Command::new("nfdump").args(["-R", &folder.path(name), "-q", "-N", "-6", "-o", format]).output();
    let output = output.expect("nfdump is there");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let flow = |words: Vec<&str>| {
        let [source, source_port, destination, destination_port, packets, bytes] = words[..] else {
            return None;
        };
        // Of ICMP it has the type and the code there: the kernel may have told of multicast groups meanwhile.
        if destination_port.contains('.') {
            return None;
        }
        let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("{words:?}"));
        Some((
            source.into(),
            number(source_port) as u16,
            destination.into(),
            number(destination_port) as u16,
            number(packets),
            number(bytes),
        ))
    };
    lines.filter_map(flow).collect()
}
