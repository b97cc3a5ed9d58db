//! nginx, by whatever configuration.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::shell::Shell;
use weir_tests::wait_for;

/// Running, and killed on drop; it listens at this port of the loopback.
pub fn nginx(folder: &Folder, configuration: &str, port: u16) -> Shell {
    let configuration = folder.write("nginx.conf", configuration);
    let mut command = Command::new("nginx");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null()).stderr(Stdio::null());
    command.args(["-e", &folder.path("error.log"), "-c", &configuration]);
    let process = Shell(command.spawn().expect("nginx is there"));
    wait_for("nginx listens", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", port)).ok());
    process
}
