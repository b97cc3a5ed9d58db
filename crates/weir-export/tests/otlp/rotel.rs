//! rotel: a collector that takes OTLP, decodes it, and hands on what it has to the next.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::python::interpreter;
use weir_tests::shell::Shell;
use weir_tests::{free_port, wait_for};

/// Running, and killed on drop.
pub struct Rotel {
    process: Shell,
    /// Where it takes the same by gRPC.
    pub grpc: u16,
}

impl Rotel {
    /// Starts it at this port of the loopback, before a server at another. What it says is in the folder.
    pub fn start(folder: &Folder, name: &str, port: u16, next: u16) -> Self {
        let grpc = free_port();
        let library = interpreter().ancestors().nth(2).expect("a folder").join("lib");
        let program = fs::read_dir(&library)
            .expect("its modules")
            .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/rotel/rotel-agent")))
            .find(|path| path.exists());
        let log = File::create(folder.path(name)).expect("a file");
        let mut command = Command::new(program.expect("scripts/setup test installs it"));
        command.args(["start", "--otlp-http-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command.args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"]);
        command.args(["--otlp-exporter-endpoint", &format!("http://127.0.0.1:{next}")]);
        command.args(["--debug-log", "logs", "--debug-log-verbosity", "detailed"]);
        command.args(["--pid-file", &folder.path("rotel.pid"), "--log-file", &folder.path("rotel.log")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let process = Shell(command.spawn().expect("rotel starts"));
        wait_for("rotel listens", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", port)).ok());
        wait_for("and by gRPC", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", grpc)).ok());
        Self { process, grpc }
    }

    /// Ends it in order: what it has taken it hands on before.
    pub fn stop(mut self) {
        kill(Pid::from_raw(self.process.0.id() as i32), Signal::SIGTERM).expect("it runs");
        self.process.0.wait().expect("it ends");
    }
}
