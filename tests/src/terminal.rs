//! A terminal of 80×24, by tmux, to press keys in and to look at.

use crate::netns::{Namespace, succeed};
use crate::wait_for;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A tmux server of the test's own, ended on drop.
pub struct Terminal {
    server: String,
}

impl Terminal {
    /// With a shell in the namespace, whose prompt is `$ `.
    pub fn open(namespace: &Namespace) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { server: format!("weirt-{}-{number}", std::process::id()) };
        let shell = "env PS1='$ ' LC_ALL=C.UTF-8 bash --norc --noprofile";
        let mut command = terminal.command();
        command.args(["-u", "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", shell]);
        namespace.enter(|| succeed(&mut command));
        terminal.wait_for("$");
        terminal
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.server]).env_remove("TMUX");
        command
    }

    /// Presses keys, by the names that tmux has for them.
    pub fn press(&self, keys: &[&str]) {
        succeed(self.command().arg("send-keys").args(keys));
    }

    /// Types a line.
    pub fn line(&self, text: &str) {
        // At the end of an argument it would be tmux's own.
        let text = text.strip_suffix(';').map_or_else(|| text.to_owned(), |text| format!("{text}\\;"));
        succeed(self.command().args(["send-keys", "-l", &text]));
        self.press(&["Enter"]);
    }

    /// Another size.
    pub fn resize(&self, width: u32, height: u32) {
        let size = ["-x", &width.to_string(), "-y", &height.to_string()].map(str::to_owned);
        succeed(self.command().args(["resize-window"]).args(size));
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        succeed(self.command().args(["capture-pane", "-p"]))
    }

    /// The same with its colours.
    pub fn colours(&self) -> String {
        succeed(self.command().args(["capture-pane", "-p", "-e"]))
    }

    /// Waits until the screen is as wanted.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, PATIENCE, || {
                last = self.screen();
                wanted(&last).then(|| last.clone())
            })
        }));
        outcome.unwrap_or_else(|_| panic!("{what}: the screen is\n{last}"))
    }

    /// Waits until these words are on the screen.
    pub fn wait_for(&self, words: &str) -> String {
        self.wait_until(words, |screen| screen.contains(words))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").status();
    }
}
