//! Agents that keep a history in a test's folder.

use crate::agent::Agent;
use crate::flood::Flood;
use crate::folder::Folder;
use crate::inject::Injector;
use crate::output::Count;
use crate::pair::{INTERFACE, Pair};

/// An agent at the left end that keeps one there.
pub fn keeping(pair: &Pair, folder: &Folder, more: &[&str]) -> Agent {
    let directory = folder.path("history");
    let args = ["-i", INTERFACE, "--interval", "100ms", "--memory-budget", "64MiB", "--data-dir", &directory];
    Agent::start_joined(&pair.left, &[&args[..], more].concat())
}

/// A history with the flood in it, and its agent gone.
pub fn kept(pair: &Pair, folder: &Folder, flood: &Flood, more: &[&str]) -> Count {
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = keeping(pair, folder, more);
    let sent = flood.send(&injector);
    agent.stop().assert_books();
    sent
}
