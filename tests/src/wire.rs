//! What was on the wire, as tshark reads it.

use crate::folder::Folder;
use crate::lines::Lines;
use crate::netns::{Namespace, succeed};
use crate::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A tcpdump that writes a file, which goes with it.
pub struct Wire {
    tcpdump: Child,
    said: Lines,
    folder: Folder,
}

impl Wire {
    /// Starts it and waits until it listens.
    pub fn start(namespace: &Namespace, device: &str) -> Self {
        let folder = Folder::new("wire");
        let mut command = Command::new("tcpdump");
        // Frames of the ring are as long as what is kept of a packet may be.
        // -Z: Debian's tcpdump would give up root and with it the namespace.
        command.args(["-n", "-p", "-U", "--immediate-mode", "-s", "2048", "-B", "32768", "-Z", "root"]);
        command.args(["-i", device, "-w"]);
        command.arg(folder.path("pcap")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut tcpdump = namespace.enter(|| command.spawn()).expect("tcpdump");
        let said = Lines::of(tcpdump.stderr.take().expect("a pipe"));
        let wire = Self { tcpdump, said, folder };
        wait_for("tcpdump listens", PATIENCE, || {
            wire.said.look(|lines| lines.iter().any(|line| line.contains("listening on"))).then_some(())
        });
        wire
    }

    /// Stops it, and returns what tshark makes of the packets that fit: these fields of each.
    pub fn read(&mut self, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        if matches!(self.tcpdump.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(300));
            kill(Pid::from_raw(self.tcpdump.id().cast_signed()), Signal::SIGINT).expect("tcpdump runs");
            self.tcpdump.wait().expect("tcpdump ends");
            let whole = |lines: &[String]| lines.iter().any(|line| line == "0 packets dropped by kernel");
            wait_for("tcpdump has missed nothing", PATIENCE, || self.said.look(whole).then_some(()));
        }
        let mut command = Command::new("tshark");
        command.args(["-n", "-2", "-o", "tcp.relative_sequence_numbers:FALSE", "-d", "udp.port==5353,dns"]);
        command.args(["-r", &self.folder.path("pcap"), "-Y", filter, "-T", "fields"]);
        command.args(fields.iter().flat_map(|field| ["-e", field]));
        let text = succeed(command.stderr(Stdio::null()));
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// Times that Weir has, and those that tshark has for the same packets at the same interface, in seconds. Weir's clock is
/// read beside the wire, before what goes out has left and after what comes in is there: none is shorter. A busy
/// machine may do something else between that for a while; most are within 1 ms or 5 %.
pub fn assert_times(told: &[(f64, f64)]) {
    for (weir, wire) in told {
        let rounded = 2e-6 + wire * 0.001;
        assert!(*weir >= wire - rounded, "{weir}, on the wire {wire}: {told:?}");
    }
    let close = told.iter().filter(|(weir, wire)| weir - wire < 0.001_f64.max(wire * 0.05)).count();
    assert!(close * 4 >= told.len() * 3, "{close} of {}: {told:?}", told.len());
}
