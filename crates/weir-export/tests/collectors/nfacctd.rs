//! nfacctd (pmacct), a collector on the loopback, which prints what it has as JSON.

use crate::waiting;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::{free_port, wait_for};

/// To start, or to read and print.
pub const SOON: Duration = Duration::from_secs(20);

/// Running, and killed on drop.
pub struct Nfacctd {
    server: Child,
    printed: String,
    /// Where it listens.
    pub port: u16,
}

impl Nfacctd {
    /// Starts it at a port that nobody has.
    pub fn start(folder: &Folder, name: &str) -> Self {
        Self::start_at(folder, name, free_port())
    }

    /// Starts it at this port; it prints into a file of this name.
    pub fn start_at(folder: &Folder, name: &str, port: u16) -> Self {
        let [printed, log] = ["json", "log"].map(|kind| folder.path(&format!("{name}.{kind}")));
        let lines = [
            "daemonize: false".to_owned(),
            "nfacctd_ip: 127.0.0.1".to_owned(),
            format!("nfacctd_port: {port}"),
            "nfacctd_pipe_size: 4000000".to_owned(),
            "plugins: print".to_owned(),
            "plugin_pipe_size: 40960000".to_owned(),
            "aggregate: src_host, dst_host, src_port, dst_port, proto".to_owned(),
            "print_output: json".to_owned(),
            format!("print_output_file: {printed}"),
            "print_output_file_append: true".to_owned(),
            "print_refresh_time: 1".to_owned(),
            format!("logfile: {log}"),
        ];
        let settings = folder.write(&format!("{name}.conf"), lines.join("\n") + "\n");
        let mut command = Command::new("nfacctd");
        command.args(["-f", &settings]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its plugins are processes of their own.
        command.process_group(0);
        let nfacctd = Self { server: command.spawn().expect("nfacctd is there"), printed, port };
        wait_for("nfacctd listens", SOON, || waiting(port).map(drop));
        // Its plugin passes over what comes before it has printed for the first time.
        wait_for("nfacctd prints", SOON, || {
            fs::read_to_string(&log).ok()?.contains("Purging cache - END").then_some(())
        });
        nfacctd
    }

    /// What it has printed so far: it does so each second.
    pub fn printed(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.printed).unwrap_or_default();
        // The last line may be on its way.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Nfacctd {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.server.id() as i32), Signal::SIGKILL);
        let _ = self.server.wait();
    }
}
