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

/// Where copies go out, and where they end.
const COPIES: &str = "weirw0";
const COPIES_END: &str = "weirw1";
const PATIENCE: Duration = Duration::from_secs(20);

/// A tcpdump that writes a file, which goes with it.
pub struct Wire {
    tcpdump: Child,
    said: Lines,
    folder: Folder,
    _copies: Option<Copies>,
}

impl Wire {
    /// At the place where Weir hangs, too: TC hands a copy of each packet to a device of its own, where its time is
    /// taken at once. Elsewhere the kernel takes it before that of what comes in, and after that of what goes out; a busy
    /// machine may do something else between the two. For devices with Ethernet.
    pub fn start_at_tc(namespace: &Namespace, device: &str) -> Self {
        let copies = Copies::of(namespace, device);
        Self::listen(namespace, COPIES, Some(copies))
    }

    /// Starts it and waits until it listens.
    pub fn start(namespace: &Namespace, device: &str) -> Self {
        Self::listen(namespace, device, None)
    }

    fn listen(namespace: &Namespace, device: &str, copies: Option<Copies>) -> Self {
        let folder = Folder::new("wire");
        let mut command = Command::new("tcpdump");
        // Frames of the ring are as long as what is kept of a packet may be.
        // -Z: Debian's tcpdump would give up root and with it the namespace.
        command.args(["-n", "-p", "-U", "--immediate-mode", "-s", "2048", "-B", "32768", "-Z", "root"]);
        command.args(["-i", device, "-w"]);
        command.arg(folder.path("pcap")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut tcpdump = namespace.enter(|| command.spawn()).expect("tcpdump");
        let said = Lines::of(tcpdump.stderr.take().expect("a pipe"));
        let wire = Self { tcpdump, said, folder, _copies: copies };
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

/// What has TC hand on copies of all that passes a device.
struct Copies {
    namespace: String,
    device: String,
}

impl Copies {
    fn of(namespace: &Namespace, device: &str) -> Self {
        let copies = Self { namespace: namespace.name().into(), device: device.into() };
        namespace.ip(&format!("link add {COPIES} type veth peer name {COPIES_END}"));
        for end in [COPIES, COPIES_END] {
            namespace.ip(&format!("link set {end} addrgenmode none up"));
        }
        namespace.run("tc", &["qdisc", "add", "dev", device, "clsact"]);
        // A filter that every packet fits.
        let copy =
            ["bpf", "bytecode", "1,6 0 0 4294967295", "action", "mirred", "egress", "mirror", "dev", COPIES];
        for direction in ["ingress", "egress"] {
            let all = ["filter", "add", "dev", device, direction, "protocol", "all"];
            namespace.run("tc", &[&all[..], &copy].concat());
        }
        copies
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let Self { namespace, device } = self;
        let _ =
            Command::new("tc").args(["-n", namespace, "qdisc", "delete", "dev", device, "clsact"]).status();
        let _ = Command::new("ip").args(["-n", namespace, "link", "delete", COPIES]).status();
    }
}

/// Times that Weir has, and those that tshark has for the same packets, in seconds. The two clocks are read one after the
/// other, and a virtual machine may be stopped between them: of a hundred times one may be off for that.
pub fn assert_times(told: &[(f64, f64)]) {
    let off: Vec<_> =
        told.iter().filter(|(weir, wire)| (weir - wire).abs() >= 0.001_f64.max(wire * 0.05)).collect();
    assert!(off.len() <= told.len().div_ceil(100).min(told.len() / 8), "off: {off:?} of {told:?}");
}
