//! PostgreSQL, which has a process of its own for each connection.

use crate::folder::Folder;
use crate::lines::Lines;
use crate::netns::{Namespace, succeed};
use crate::servers::Served;
use crate::wait_for;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where it listens.
pub const PORT: u16 = 5432;

/// The user that Debian's package makes for it: it refuses to be root.
const USER: &str = "postgres";

/// A running server; all clients are trusted.
pub struct Postgres {
    server: Child,
    said: Lines,
    _folder: Folder,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    pub fn start(namespace: &Namespace) -> Self {
        let folder = Folder::new("postgres");
        let user = nix::unistd::User::from_name(USER).expect("users").expect("PostgreSQL's package made it");
        chown(folder.place(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("a folder of ours");
        let data = folder.path("data");
        let init = ["--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8", "-D", &data];
        succeed(as_its_user("initdb").args(init));
        let hba = "host all all 0.0.0.0/0 trust\n";
        std::fs::write(format!("{data}/pg_hba.conf"), hba).expect("it is there");
        let mut command = as_its_user("postgres");
        command.args(["-D", &data]);
        let settings = [
            "listen_addresses=*",
            "unix_socket_directories=",
            "log_connections=on",
            "log_line_prefix=%p %r ",
            "fsync=off",
            "shared_buffers=8MB",
            "autovacuum=off",
        ];
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = namespace.enter(|| command.spawn()).expect("it was found");
        let said = Lines::of(server.stderr.take().expect("a pipe"));
        let postgres = Self { server, said, _folder: folder };
        // It listens before it takes anybody.
        let is_ready = |line: &String| line.contains("ready to accept connections");
        wait_for("PostgreSQL is ready", Duration::from_secs(60), || {
            postgres.said.look(|lines| lines.iter().any(is_ready)).then_some(())
        });
        postgres
    }

    /// Which of its processes served which connection: `711 10.77.0.1(50162) LOG:  connection authorized: …`.
    pub fn served(&self) -> Served {
        let served = |line: &String| {
            let (who, _) = line.split_once(" LOG:  connection authorized: ")?;
            let (pid, client) = who.split_once(' ')?;
            let port = client.trim_end().strip_suffix(')')?.rsplit('(').next()?;
            Some((port.parse().ok()?, pid.parse().ok()?))
        };
        self.said.look(|lines| lines.iter().filter_map(served).collect())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its other processes go when they see that it is gone, those that are in the namespace with that.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// One of its programs, of whatever version there is.
pub fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let programs = versions.flatten().map(|version| version.path().join("bin").join(name));
    programs.filter(|program| program.exists()).max().unwrap_or_else(|| panic!("no {name} of PostgreSQL's"))
}

fn as_its_user(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program(name));
    command.current_dir("/");
    command
}
