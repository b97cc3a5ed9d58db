//! Containers of a real runtime, without an image: busybox and what it is linked with.

use crate::netns::{Namespace, succeed};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A bundle for `crun`, gone with the test.
pub struct Bundle {
    folder: PathBuf,
    id: String,
}

impl Bundle {
    /// Of a container that runs `arguments` in this network namespace.
    pub fn new(name: &str, namespace: &Namespace, arguments: &[&str]) -> Self {
        let id = format!("weirt-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(&id);
        for part in ["rootfs/bin", "rootfs/proc", "rootfs/dev", "state"] {
            fs::create_dir_all(folder.join(part)).expect("a folder");
        }
        let bundle = Self { folder, id };
        bundle.fill();
        let config = config(arguments, &format!("/run/netns/{}", namespace.name()));
        fs::write(bundle.folder.join("config.json"), config.to_string()).expect("it can be written");
        bundle
    }

    fn fill(&self) {
        let busybox = succeed(Command::new("which").arg("busybox"));
        let root = self.folder.join("rootfs");
        fs::copy(busybox.trim(), root.join("bin/busybox")).expect("it can be copied");
        // One that is linked statically has none.
        let linked = Command::new("ldd").arg(busybox.trim()).output().expect("ldd");
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
            let to = root.join(&library[1..]);
            fs::create_dir_all(to.parent().unwrap_or(&root)).expect("a folder");
            fs::copy(library, to).expect("it can be copied");
        }
    }

    /// Runs it, in the control group whose `cgroup.procs` this is. crun itself is kept from all control groups:
    /// it would move processes of the host out of its way.
    pub fn run(&self, group: &Path) -> Child {
        let script = "echo $$ >\"$0\" && mount -t cgroup2 none /sys/fs/cgroup && \
                      mount -o remount,bind,ro /sys/fs/cgroup && cd \"$1\" && \
                      exec crun --root \"$1/state\" --cgroup-manager=disabled run \"$2\"";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(group).arg(&self.folder).arg(&self.id);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("unshare is there")
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let mut delete = Command::new("crun");
        delete.arg("--root").arg(self.folder.join("state")).args(["delete", "--force", &self.id]);
        let _ = delete.stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn config(arguments: &[&str], netns: &str) -> Value {
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": arguments, "env": ["PATH=/bin"],
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [
            {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            {"type": "network", "path": netns},
        ]},
    })
}
