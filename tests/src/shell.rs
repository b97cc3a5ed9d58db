//! Processes of a test in its namespaces.

use crate::netns::Namespace;
use std::process::{Child, Command, Stdio};

/// A shell in a namespace, killed on drop.
pub struct Shell(pub Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `script` with bash.
pub fn shell(namespace: &Namespace, script: &str) -> Shell {
    let mut command = Command::new("bash");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    Shell(namespace.enter(|| command.spawn()).expect("bash is there"))
}
