//! redis, which holds connections open.

use crate::folder::Folder;
use crate::netns::Namespace;
use crate::servers::wait_for_port;
use crate::shell::{Shell, shell};
use crate::wait_for;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// Where it listens.
pub const PORT: u16 = 6379;

/// A running redis-server.
pub struct Redis {
    _server: Shell,
    _folder: Folder,
}

impl Redis {
    /// Starts it. Debian's redis-tools has the whole server, under another name.
    pub fn start(namespace: &Namespace) -> Self {
        let folder = Folder::new("redis");
        let server = folder.path("redis-server");
        symlink("/usr/bin/redis-check-rdb", &server).expect("a link");
        let script =
            format!("exec {server} --port {PORT} --protected-mode no --save '' --appendonly no >/dev/null");
        let server = shell(namespace, &script);
        wait_for_port(namespace, "-tlnH", PORT);
        Self { _server: server, _folder: folder }
    }
}

/// A redis-cli that keeps its connection.
pub struct Client(Shell);

impl Client {
    /// Connects, asks for what `commands` has in its lines, and waits until the server has done the last of it.
    pub fn start(namespace: &Namespace, address: &str, commands: &str) -> Self {
        let mut client = shell(namespace, &format!("exec redis-cli -h {address} >/dev/null"));
        let input = client.0.stdin.as_mut().expect("a pipe");
        input.write_all(format!("{commands}\nSET done yes\n").as_bytes()).expect("it reads");
        wait_for("redis has done it all", Duration::from_secs(20), || {
            namespace.run("redis-cli", &["-h", address, "GET", "done"]).contains("yes").then_some(())
        });
        Self(client)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.0.0.id()
    }
}
