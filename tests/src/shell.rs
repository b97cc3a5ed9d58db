//! Processes of a test in its namespaces.

use crate::netns::Namespace;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A shell in a namespace, killed on drop.
pub struct Shell(pub Child);

impl Shell {
    /// Waits until it has said `ready`.
    pub fn ready(mut self) -> Self {
        let mut said = String::new();
        BufReader::new(self.0.stdout.take().expect("a pipe")).read_line(&mut said).expect("it speaks");
        assert_eq!(said, "ready\n");
        self
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that says first at which port it is.
pub fn serving(command: &mut Command) -> (Shell, u16) {
    let mut server = Shell(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts"));
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().expect("a pipe")).read_line(&mut port).expect("it speaks");
    (server, port.trim().parse().expect("its port"))
}

/// Whether there is a process of this kind, as pgrep knows them.
pub fn is_running(kind: &[&str]) -> bool {
    let pgrep = Command::new("pgrep").args(kind).stdout(Stdio::null()).status();
    pgrep.expect("pgrep is there").success()
}

/// Runs `script` with bash.
pub fn shell(namespace: &Namespace, script: &str) -> Shell {
    let mut command = Command::new("bash");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    Shell(namespace.enter(|| command.spawn()).expect("bash is there"))
}

/// Takes connections at port 6010, and reads each to its end.
pub fn reader(namespace: &Namespace) -> Shell {
    let program = "import socket
server = socket.create_server(('0.0.0.0', 6010))
print('ready', flush=True)
while True:
    one, _ = server.accept()
    while one.recv(65536): pass
    one.close()";
    python(namespace, "true", program, &[])
}

/// Runs a program of Python's until it is ready, in the place of a shell that has run `before`.
pub fn python(namespace: &Namespace, before: &str, program: &str, arguments: &[&str]) -> Shell {
    assert!(!program.contains('"'), "it stands between these");
    let script = format!("{before}; exec /usr/bin/python3 -c \"{program}\" {}", arguments.join(" "));
    shell(namespace, &script).ready()
}
