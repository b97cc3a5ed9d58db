//! nginx: a master that listens, workers that serve.

use crate::folder::Folder;
use crate::netns::Namespace;
use crate::servers::{Served, wait_for_port};
use crate::shell::{Shell, shell};

/// Where it listens.
pub const PORT: u16 = 80;

/// A running nginx with two workers.
pub struct Nginx {
    folder: Folder,
    _server: Shell,
}

impl Nginx {
    /// Starts it, with one page, `/`.
    pub fn start(namespace: &Namespace) -> Self {
        let folder = Folder::new("nginx");
        let configuration = folder.write(
            "conf",
            format!(
                "daemon off; user root; pid {0}/pid; worker_processes 2; events {{ }}\n\
                 http {{ log_format who '$pid $remote_port'; access_log {0}/access.log who;\n\
                 client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0};\n\
                 scgi_temp_path {0}; keepalive_timeout 60;\n\
                 server {{ listen {PORT} reuseport; location / {{ return 200 'page'; }} }} }}\n",
                folder.place().display()
            ),
        );
        let server =
            shell(namespace, &format!("exec nginx -e {} -c {configuration}", folder.path("error.log")));
        wait_for_port(namespace, "-tlnH", PORT);
        Self { folder, _server: server }
    }

    /// Which worker answered which connection.
    pub fn served(&self) -> Served {
        let log = std::fs::read_to_string(self.folder.path("access.log")).expect("nginx has a log");
        let lines = log.lines().map(|line| {
            let (pid, port) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            (port.parse().expect("a port"), pid.parse().expect("a process"))
        });
        lines.collect()
    }
}
