//! `weir trace sni`: held against what tshark reads on the same wire.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use weir_tests::netns::{Namespace, succeed};
use weir_tests::pair::{INTERFACE, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::shell::python;
use weir_tests::trace::Trace;
use weir_tests::wait_for;

/// Connects, says hello, and is let down: whoever listens there does not speak TLS.
const CLIENTS: &str = "
import socket, ssl, sys
def hello(address, name, protocols):
    context = ssl.create_default_context()
    if protocols: context.set_alpn_protocols(protocols)
    try:
        with socket.create_connection((address, 443), timeout=5) as plain:
            context.wrap_socket(plain, server_hostname=name)
    except OSError: pass
for n in range(20): hello('10.77.0.2', f'host-{n}.example.org', ['h2', 'http/1.1'])
hello('fd00::2', 'six.example.org', [])
# So long that it takes three segments.
hello('10.77.0.2', 'long.example.org', ['protocol-%03d-%s' % (n, 'x' * 80) for n in range(40)])
";

struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    fn start(namespace: &Namespace) -> Self {
        let file = std::env::temp_dir().join(format!("weirt-sni-{}.pcap", std::process::id()));
        let mut command = Command::new("tcpdump");
        command.args(["-i", INTERFACE, "-U", "-w"]).arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
        let tcpdump = namespace.enter(|| command.spawn()).expect("tcpdump");
        let capture = Self { tcpdump, file };
        wait_for("tcpdump writes", Duration::from_secs(10), || {
            fs::metadata(&capture.file).is_ok_and(|file| file.len() >= 24).then_some(())
        });
        // The file is there before the socket is.
        std::thread::sleep(Duration::from_millis(500));
        capture
    }

    /// Name, protocols and source port of each first message of a client.
    fn hellos(mut self) -> BTreeSet<(String, String)> {
        std::thread::sleep(Duration::from_millis(500));
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-Y", "tls.handshake.type == 1", "-T", "fields"]);
        command.args([
            "-e",
            "tls.handshake.extensions_server_name",
            "-e",
            "tls.handshake.extensions_alpn_str",
        ]);
        let read = succeed(command.stderr(Stdio::null()));
        read.lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, protocols)| (name.to_owned(), protocols.to_owned()))
            .collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
        let _ = fs::remove_file(&self.file);
    }
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_default().to_owned()
}

#[test]
fn root_servers_are_those_that_tshark_reads() {
    let pair = Pair::with_ipv6();
    // What is sent is cut into segments before it gets to an interface.
    pair.left.run("ethtool", &["-K", INTERFACE, "tso", "off", "gso", "off"]);
    let trace = Trace::start(&pair.left, &["sni", "--filter", &format!("netns == {}", pair.left.name())]);
    let capture = Capture::start(&pair.left);
    let _server = python(
        &pair.right,
        "true",
        "import socket
server = socket.create_server(('::', 443), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
print('ready', flush=True)
while True:
    one, _ = server.accept()
    one.recv(4096)
    one.close()",
        &[],
    );
    pair.left.run("/usr/bin/python3", &["-c", CLIENTS]);
    // QUIC: the packet of RFC 9001, A.2. And what is not TLS.
    let packet = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/weir-tls/tests/rfc9001-a2.hex");
    let others = format!(
        "import socket
packet = bytes.fromhex(''.join(open('{packet}').read().split()))
socket.socket(type=socket.SOCK_DGRAM).sendto(packet, ('{RIGHT}', 4433))
socket.socket(type=socket.SOCK_DGRAM).sendto(packet[:-1] + b'x', ('{RIGHT}', 4433))
socket.create_connection(('{RIGHT}', 443)).sendall(b'GET / HTTP/1.1')"
    );
    pair.left.run("/usr/bin/python3", &["-c", &others]);
    let (lost, events): (Vec<_>, Vec<_>) =
        trace.stop().into_iter().partition(|event| event["type"] == "lost");
    let told: BTreeSet<_> = events
        .iter()
        .map(|event| (text(event, "server_name"), text(event, "application_protocols")))
        .collect();
    // Of a client that speaks more than anybody, not all is kept.
    let eight = |list: String| list.split(',').take(8).collect::<Vec<_>>().join(",");
    let read: BTreeSet<_> =
        capture.hellos().into_iter().map(|(name, protocols)| (name, eight(protocols))).collect();
    assert_eq!(told, read, "{} events, lost: {lost:?}", events.len());
    assert_eq!((events.len(), told.len()), (23, 23), "{told:?}");
    // What cannot be decrypted is said, too: at either end of the wire.
    assert_eq!(
        lost,
        [serde_json::json!({"type": "lost", "probe": "hellos", "events": 2, "cause": "incomprehensible"})]
    );
    for event in &events {
        let is_quic = event["protocol"] == "udp";
        assert_eq!((&event["tls_version"], &event["source_process"]), (&"1.3".into(), &"python3".into()));
        assert_eq!(event["destination_port"], if is_quic { 4433 } else { 443 });
        assert_eq!(event["tls_encrypted_hello"], false);
    }
    let named = |name: &str| events.iter().find(|event| event["server_name"] == name).expect("it is there");
    assert_eq!(named("six.example.org")["destination_address"], RIGHT_IPV6);
    assert_eq!(named("example.com")["protocol"], "udp");
}
