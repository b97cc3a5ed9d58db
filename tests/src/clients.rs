//! Processes that connect, say who they are, and are gone: more of them than a shell could start.

use crate::netns::{Namespace, succeed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const SOURCE: &str = include_str!("clients.c");

/// The program, compiled for one test; gone with it.
pub struct Clients(PathBuf);

impl Clients {
    /// Compiles it.
    #[expect(clippy::new_without_default, reason = "it has effects outside the process")]
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("weirt-clients-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let clients = Self(folder);
        let source = clients.0.join("clients.c");
        fs::write(&source, SOURCE).expect("it can be written");
        succeed(Command::new("gcc").args(["-O2", "-static", "-o"]).arg(clients.program()).arg(source));
        clients
    }

    /// Its file.
    pub fn program(&self) -> PathBuf {
        self.0.join("clients")
    }

    /// Starts `processes` of them, `period` microseconds apart, with `each` connections.
    pub fn start(
        &self,
        namespace: &Namespace,
        (address, port): (&str, u16),
        [processes, each, period]: [usize; 3],
    ) -> Child {
        let mut command = Command::new(self.program());
        let numbers = [usize::from(port), processes, each, period].map(|number| number.to_string());
        command.args(["start", address]).args(numbers);
        namespace.enter(|| command.spawn()).expect("it was compiled")
    }

    /// The command line of one of them.
    pub fn is_command_line(&self, line: &str) -> bool {
        let Some(rest) = line.strip_prefix(&*self.program().to_string_lossy()) else { return false };
        let words: Vec<_> = rest.split(' ').collect();
        words.len() == 6 && words[1] == "talk" && words[5].parse::<u32>().is_ok()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}
