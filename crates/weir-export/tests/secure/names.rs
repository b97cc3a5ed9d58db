//! A host whose resolver has stopped.

use crate::mistake;
use nix::sched::{CloneFlags, unshare};
use std::net::UdpSocket;
use std::process::Command;
use weir_tests::folder::Folder;
use weir_tests::netns::{Namespace, succeed};

/// Puts a file in the place of another, for this thread and what it starts.
fn replace(folder: &Folder, path: &str, content: &str) {
    let file = folder.write(&path.replace('/', "_"), content);
    succeed(Command::new("mount").args(["--bind", &file, path]));
}

/// Nobody waits for DNS longer than 5 seconds, and it is said that it is DNS that does not answer.
#[test]
fn root_dns_that_stops_is_told_of() {
    let (namespace, folder) = (Namespace::new(), Folder::new("secure"));
    namespace.ip("link set lo up");
    namespace.enter(|| {
        unshare(CloneFlags::CLONE_NEWNS).expect("a namespace of mounts");
        succeed(Command::new("mount").args(["--make-rprivate", "/"]));
        replace(&folder, "/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
        replace(&folder, "/etc/nsswitch.conf", "hosts: files dns\n");
        // It listens, and says nothing.
        let resolver = UdpSocket::bind("127.0.0.1:53").expect("a socket");
        for scheme in ["syslog+tls", "https"] {
            let said = mistake(&format!("{scheme}://collector.example"));
            assert!(said.contains("collector.example") && said.contains("DNS does not answer"), "{said}");
        }
        let mut question = [0; 512];
        let length = resolver.recv(&mut question).expect("it was asked");
        assert!(question[..length].windows(9).any(|part| part == b"collector"));
    });
}
