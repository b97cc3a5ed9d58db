//! unbound, which answers of its own zones, and asks others.

use crate::folder::Folder;
use crate::netns::Namespace;
use crate::servers::wait_for_port;
use crate::shell::{Shell, shell};

/// A running unbound.
pub struct Unbound {
    _server: Shell,
    _folder: Folder,
}

impl Unbound {
    /// Starts it at port 53 of an address, with further lines of configuration.
    pub fn start(namespace: &Namespace, address: &str, configuration: &str) -> Self {
        let folder = Folder::new("unbound");
        let file = folder.write(
            "conf",
            format!(
                "remote-control:\n control-enable: no\n\
                 server:\n interface: {address}\n access-control: 0.0.0.0/0 allow\n do-daemonize: no\n\
                 use-syslog: no\n logfile: \"log\"\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n directory: \"{}\"\n\
                 module-config: \"iterator\"\n do-not-query-localhost: no\n num-threads: 1\n{configuration}",
                folder.place().display()
            ),
        );
        let server = shell(namespace, &format!("exec unbound -c {file}"));
        wait_for_port(namespace, "-ulnH", 53);
        Self { _server: server, _folder: folder }
    }
}
