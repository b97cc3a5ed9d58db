//! nfcapd, a collector on the loopback, and nfdump, which reads what it has collected.

use super::process::rest;
use super::udp::waiting;
use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::servers::nfcapd::end;
use weir_tests::wait_for;

/// Running, and killed on drop.
pub struct Nfcapd {
    server: Child,
    directory: String,
    /// Where it listens.
    pub port: u16,
}

/// What nfdump prints of a flow: see [`FORMAT`].
pub type Flow = Vec<String>;

/// Source and destination address and port, protocol, packets, bytes, start, end, interfaces, flags, class of service,
/// direction, VLAN, systems, engine.
const FORMAT: &str =
    "fmt:%sa,%sp,%da,%dp,%pr,%ipkt,%ibyt,%ts,%te,%in,%out,%flg,%stos,%dir,%svln,%sas,%das,%eng";

impl Nfcapd {
    /// Starts it at a port that nobody has.
    pub fn start(folder: &Folder, name: &str) -> Self {
        let free = UdpSocket::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        Self::start_at(folder, name, free.expect("a port").port())
    }

    /// Starts it at this port; it writes into a folder of this name.
    pub fn start_at(folder: &Folder, name: &str, port: u16) -> Self {
        let directory = folder.path(name);
        fs::create_dir_all(&directory).expect("a folder");
        let mut command = Command::new("nfcapd");
        command.args([
            "-w",
            &directory,
            "-b",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-B",
            "4000000",
            "-t",
            "3600",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nfcapd = Self { server: command.spawn().expect("nfcapd is there"), directory, port };
        wait_for("nfcapd listens", Duration::from_secs(10), || waiting(port).map(drop));
        nfcapd
    }

    /// Lets it do nothing until it is told to go on.
    pub fn rests(&self, rests: bool) {
        rest(&self.server, rests);
    }

    /// Ends it in order, once it has read everything: what it has, in the order in which it came.
    pub fn stop(self) -> Vec<Flow> {
        self.stop_for(FORMAT)
    }

    /// The same, of other fields.
    pub fn stop_for(mut self, format: &str) -> Vec<Flow> {
        wait_for("nfcapd has read everything", Duration::from_secs(10), || {
            (waiting(self.port)? == "00000000").then_some(())
        });
        end(&mut self.server);
        let nfdump = Command::new("nfdump")
            .env("TZ", "UTC")
            .args(["-R", &self.directory, "-q", "-N", "-6", "-o", format])
            .output();
        let text = String::from_utf8(nfdump.expect("nfdump is there").stdout).expect("text");
        let lines =
            text.lines().map(|line| line.split(',').map(|word| word.trim().to_owned()).collect::<Flow>());
        lines.filter(|line| line.len() > 1).collect()
    }
}

impl Drop for Nfcapd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
