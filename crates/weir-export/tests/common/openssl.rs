//! `openssl s_server`: one connection at a time, what comes in clear into a file.

use super::authority::Certified;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::shell::Shell;
use weir_tests::{free_port, wait_for};

pub struct Server {
    /// Killed on drop.
    process: Shell,
    pub port: u16,
    out: String,
}

impl Server {
    pub fn start(folder: &Folder, certified: &Certified, more: &[&str]) -> Self {
        Self::start_at(free_port(), folder, certified, more)
    }

    pub fn start_at(port: u16, folder: &Folder, certified: &Certified, more: &[&str]) -> Self {
        let number = fs::read_dir(folder.place()).expect("a folder").count();
        let out = folder.path(&format!("{number}.out"));
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", &certified.certificate, "-key", &certified.key]).args(more);
        // It ends when there is no more to read.
        command.stdin(Stdio::piped()).stdout(File::create(&out).expect("a file")).stderr(Stdio::null());
        let process = Shell(command.spawn().expect("openssl is there"));
        wait_for("openssl listens", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { process, port, out }
    }

    /// What has come so far.
    pub fn received(&self) -> Vec<u8> {
        fs::read(&self.out).expect("a file")
    }

    /// From now on what comes stays in its kernel.
    pub fn stop_reading(&self) {
        kill(Pid::from_raw(self.process.0.id() as i32), Signal::SIGSTOP).expect("it runs");
    }

    /// Kills it with whatever it has not read: what it has.
    pub fn kill(self) -> Vec<u8> {
        let out = self.out.clone();
        drop(self.process);
        fs::read(out).expect("a file")
    }
}
