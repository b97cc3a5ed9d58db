//! Servers that turn clients away, since one of their queues is full.

use crate::netns::Namespace;
use crate::shell::{Shell, python};

const UNATTENDED: &str = r#"
import socket, sys
listening = socket.socket()
listening.bind(('0.0.0.0', 5001))
listening.listen(int(sys.argv[1]))
print('ready', flush=True)
sys.stdin.read()
"#;

const ATTENDED: &str = r#"
import socket, sys
listening = socket.socket()
listening.bind(('0.0.0.0', 5001))
listening.listen(int(sys.argv[1]))
print('ready', flush=True)
while True:
    listening.accept()
"#;

/// Listens at port 5001, and accepts nobody: its accept queue fills.
pub fn fills_accept_queue(server: &Namespace, backlog: u32) -> Shell {
    python(server, ":", UNATTENDED, &[&backlog.to_string()])
}

/// Accepts at port 5001, without SYN cookies, whoever ends a handshake. The client hears none of the answers: all of its
/// handshakes stay under way, and the SYN queue fills.
pub fn fills_syn_queue(server: &Namespace, client: &Namespace, backlog: u32) -> Shell {
    server.sysctl("net/ipv4/tcp_syncookies", "0");
    client.run("nft", &["add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c tcp flags & (syn | ack) == syn | ack drop"]);
    python(server, ":", ATTENDED, &[&backlog.to_string()])
}
