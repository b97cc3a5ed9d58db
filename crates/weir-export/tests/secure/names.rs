//! A host whose resolver has stopped.

use crate::mistake;
use nix::sched::{CloneFlags, unshare};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::netns::{Namespace, succeed};
use weir_tests::wait_for;

/// Puts a file in the place of another, for this thread and what it starts.
fn replace(folder: &Folder, path: &str, content: &str) {
    let file = folder.write(&path.replace('/', "_"), content);
    succeed(Command::new("mount").args(["--bind", &file, path]));
}

fn asks(resolver: &UdpSocket) -> Vec<u8> {
    let mut question = vec![0; 512];
    let length = resolver.recv(&mut question).expect("it was asked");
    question.truncate(length);
    question
}

/// Nobody waits for DNS longer than 5 seconds, and it is said that it is DNS that does not answer. A store of objects has a
/// resolver of its own, which does not say what it was that did not answer.
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
        for url in [
            "syslog+tls://collector.example",
            "https://collector.example",
            "grpcs://collector.example",
            "kafka+tls://collector.example/flows",
        ] {
            let said = mistake(url);
            assert!(said.contains("collector.example") && said.contains("DNS does not answer"), "{said}");
        }
        assert!(asks(&resolver).windows(9).any(|part| part == b"collector"));
        let secret = folder.write("secret", "s3cret");
        let store =
            format!("s3://flows/a?endpoint=https://store.example&region=r&user=me&password_file={secret}");
        let said = mistake(&store);
        assert!(
            said.starts_with("s3://flows/a: ")
                && said.ends_with("no connection within 5 s: it does not answer, or DNS does not"),
            "{said}"
        );
        wait_for("the store's name is asked for", Duration::from_secs(10), || {
            asks(&resolver).windows(5).any(|part| part == b"store").then_some(())
        });
    });
}
