//! Which programs play: those that are installed, and stand-ins of our own for those that are not.

use super::stage::{DB, DNS, LAST_SCANNED, NAMES, Stage, WEB};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Serves pages.
    Web,
    /// Keeps values.
    Database,
    /// Resolves names.
    NameServer,
    /// Gets a page.
    Fetch,
    /// Asks for a name.
    Lookup,
    /// Asks the database.
    Query,
    /// Tries ports.
    Scan,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Web, Self::Database, Self::NameServer, Self::Fetch, Self::Lookup, Self::Query, Self::Scan];

    /// What its stand-in is called.
    pub fn stand_in(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Database => "db",
            Self::NameServer => "dns",
            Self::Fetch => "HTTP client",
            Self::Lookup => "DNS client",
            Self::Query => "db client",
            Self::Scan => "scanner",
        }
    }
}

/// A program that can play a role.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    role: Role,
    /// As people call it.
    pub name: &'static str,
    /// What is run: words, with `{…}` filled in.
    line: &'static str,
    /// What it believes to be called, where that decides what it does.
    alias: Option<&'static str>,
}

const fn program(role: Role, name: &'static str, line: &'static str) -> Program {
    Program { role, name, line, alias: None }
}

const REDIS: &str = "--bind {db} --port 6379 --save {nothing} --appendonly no --dir {directory}";

/// The better one first. All are packages that start no service, or are used where they are anyway.
const PROGRAMS: [Program; 12] = [
    program(Role::Web, "busybox httpd", "busybox httpd -f -p {web}:80 -h {directory}/pages"),
    program(Role::Web, "python3 http.server", "python3 -m http.server --bind {web} -d {directory}/pages 80"),
    program(Role::Database, "redis-server", "redis-server {redis}"),
    // Debian's redis-tools has the whole server under another name, and no service.
    Program {
        role: Role::Database,
        name: "redis-server",
        line: "redis-check-rdb {redis}",
        alias: Some("redis-server"),
    },
    program(
        Role::NameServer,
        "dnsmasq",
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --group=root \
         --pid-file --bind-interfaces --listen-address={dns} {names}",
    ),
    program(
        Role::Fetch,
        "curl",
        "curl -s -o /dev/null --max-time 10 --resolve web.test:80:{web} http://web.test/{object}",
    ),
    program(Role::Fetch, "wget", "wget -q -O /dev/null -T 10 http://{web}/{object}"),
    program(Role::Lookup, "dig", "dig +time=2 +tries=1 @{dns} {object} A"),
    program(Role::Lookup, "nslookup", "busybox nslookup -type=a {object} {dns}"),
    program(Role::Query, "redis-cli", "redis-cli -h {db} {object}"),
    program(Role::Scan, "nmap", "nmap -Pn -n -sT -p 1-{last} {web}"),
    program(Role::Scan, "nc", "nc.openbsd -n -z -w 1 {web} 1-{last}"),
];

impl Program {
    /// The first that is installed.
    pub fn find(role: Role) -> Option<&'static Self> {
        PROGRAMS.iter().find(|program| program.role == role && program.is_installed())
    }

    fn is_installed(&self) -> bool {
        let mut words = self.line.split(' ');
        let Some(path) = words.next().and_then(path_of) else { return false };
        // Not every busybox has every applet.
        !self.line.starts_with("busybox ") || words.next().is_some_and(|applet| has_applet(&path, applet))
    }

    /// What to run; `object` is what the client asks for.
    pub fn words(&self, stage: Stage, object: &str) -> Vec<OsString> {
        let fill = |word: &str| -> OsString {
            let filled = word
                .replace("{web}", &WEB.address.to_string())
                .replace("{db}", &DB.address.to_string())
                .replace("{dns}", &DNS.address.to_string())
                .replace("{last}", &LAST_SCANNED.to_string())
                .replace("{directory}", &stage.directory().to_string_lossy())
                .replace("{nothing}", "");
            filled.into()
        };
        let names: Vec<_> =
            NAMES.iter().map(|(name, address)| format!("--address=/{name}/{address}")).collect();
        let line = self
            .line
            .replace("{redis}", REDIS)
            .replace("{names}", &names.join(" "))
            .replace("{object}", object);
        line.split(' ').map(fill).collect()
    }

    /// Becomes it; returns only where that fails.
    pub fn become_it(&self, stage: Stage) -> std::io::Error {
        let words = self.words(stage, "");
        let path = path_of(&words[0].to_string_lossy()).unwrap_or_else(|| PathBuf::from(&words[0]));
        let mut command = Command::new(path);
        command.args(&words[1..]);
        if let Some(alias) = self.alias {
            command.arg0(alias);
        }
        command.exec()
    }
}

/// Servers live in sbin, which not everybody has in `$PATH`.
pub fn path_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|directory| directory.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn has_applet(busybox: &Path, applet: &str) -> bool {
    let listed = Command::new(busybox).arg("--list").output();
    listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == applet))
}

/// Who plays what.
pub struct Cast([Option<&'static Program>; Role::ALL.len()]);

impl Cast {
    /// Installed programs, or stand-ins only.
    pub fn choose(stand_ins: bool) -> Self {
        Self(Role::ALL.map(|role| if stand_ins { None } else { Program::find(role) }))
    }

    /// Who plays a role; none is our stand-in.
    pub fn of(&self, role: Role) -> Option<&'static Program> {
        self.0[role as usize]
    }

    /// Its name, or ours.
    pub fn name(&self, role: Role) -> &'static str {
        self.of(role).map_or("stand-in", |program| program.name)
    }

    /// Roles that are played by stand-ins.
    pub fn stand_ins(&self) -> Vec<&'static str> {
        Role::ALL.iter().filter(|role| self.of(**role).is_none()).map(|role| role.stand_in()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_words() {
        let stage = Stage { pid: 7 };
        for program in &PROGRAMS {
            let words = program.words(stage, "film");
            assert!(words.iter().all(|word| !word.to_string_lossy().contains(['{', '}'])), "{words:?}");
        }
        let redis =
            PROGRAMS.iter().find(|program| program.alias.is_some()).expect("redis under another name");
        let words = redis.words(stage, "");
        let save = words.iter().position(|word| word == "--save").expect("--save");
        assert_eq!(words[save + 1], "");
        assert_eq!(words.last().expect("a directory"), "/run/weir-demo-7");
    }

    #[test]
    fn every_role_is_in_its_place() {
        for (place, role) in Role::ALL.iter().enumerate() {
            assert_eq!(*role as usize, place);
            assert!(PROGRAMS.iter().any(|program| program.role == *role));
        }
        assert_eq!(Cast::choose(true).stand_ins().len(), Role::ALL.len());
    }
}
