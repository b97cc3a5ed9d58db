//! Programs that an agent exports to.

use crate::folder::Folder;
use crate::netns::Namespace;
use crate::shell::{Shell, shell};

const PROGRAM: &str = include_str!("peer.py");

/// Starts one, and waits until it listens; the program says what there is.
pub fn peer(namespace: &Namespace, folder: &Folder, arguments: &str) -> Shell {
    let program = folder.write("peer.py", PROGRAM);
    shell(namespace, &format!("exec /usr/bin/python3 {program} {arguments}")).ready()
}
