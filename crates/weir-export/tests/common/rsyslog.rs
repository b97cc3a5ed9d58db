//! rsyslog: each message's body in a line of a file, and what its header says in a line of another.

use super::authority::{Authority, Certified};
use super::process::rest;
use super::udp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::netns::succeed;
use weir_tests::shell::Shell;
use weir_tests::{free_port, wait_for};

/// How messages come.
pub enum Input<'a> {
    /// In datagrams (RFC 5426).
    Udp,
    /// Each after its length (RFC 6587).
    Tcp,
    /// The same within TLS (RFC 5425), from `anon`, or from `x509/certvalid`: those whom the authority has signed.
    Tls(&'a Authority<'a>, &'a Certified, &'a str),
}

/// Killed on drop.
pub struct Rsyslog {
    process: Shell,
    pub port: u16,
    folder: String,
}

impl Input<'_> {
    /// What it takes, and where the module for that comes from.
    fn module(&self) -> (&str, String) {
        match self {
            Self::Udp => ("imudp", String::new()),
            Self::Tcp => ("imtcp", String::new()),
            Self::Tls(_, _, clients) => {
                let driver = format!(
                    "streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"{clients}\""
                );
                ("imtcp", driver)
            }
        }
    }

    fn files(&self) -> String {
        let Self::Tls(authority, certified, _) = self else { return String::new() };
        format!(
            "defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{}\"\n\
             \tdefaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
            authority.file, certified.certificate, certified.key
        )
    }
}

impl Rsyslog {
    /// At a port that nobody has.
    pub fn start(folder: &Folder, input: &Input) -> Self {
        Self::start_at(free_port(), folder, input)
    }

    /// At this port of the loopback. What is in the folder already stays there.
    pub fn start_at(port: u16, folder: &Folder, input: &Input) -> Self {
        let (module, driver) = input.module();
        let configuration = format!(
            "global(workDirectory=\"{place}\" maxMessageSize=\"64k\" {files})\n\
             module(load=\"{module}\" {driver})\n\
             template(name=\"body\" type=\"string\" string=\"%msg%\\n\")\n\
             template(name=\"header\" type=\"string\" string=\"%pri% %timestamp:::date-rfc3339% %hostname% %app-name% %procid% %msgid% %structured-data%\\n\")\n\
             ruleset(name=\"all\") {{\n\
             \taction(type=\"omfile\" file=\"{place}/messages\" template=\"body\")\n\
             \taction(type=\"omfile\" file=\"{place}/headers\" template=\"header\")\n\
             }}\n\
             input(type=\"{module}\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"all\")\n",
            place = folder.place().display(),
            files = input.files(),
        );
        let configuration = folder.write("rsyslog.conf", configuration);
        // A profile of AppArmor, which would not let it read these, goes by the path of the program. Copied by another
        // process: what another thread starts meanwhile would have it open for writing, and it could not be executed.
        let program = folder.path("rsyslogd");
        succeed(Command::new("cp").args(["/usr/sbin/rsyslogd", &program]));
        let mut command = Command::new(program);
        command.args(["-n", "-i", "NONE", "-f", &configuration]).stdin(Stdio::null()).stderr(Stdio::null());
        let process = Shell(command.spawn().expect("rsyslog is there"));
        wait_for("rsyslog listens", Duration::from_secs(30), || match input {
            Input::Udp => udp::waiting(port).map(drop),
            _ => TcpStream::connect(("127.0.0.1", port)).ok().map(drop),
        });
        Self { process, port, folder: folder.path("") }
    }

    /// The bodies so far.
    pub fn received(&self) -> String {
        fs::read_to_string(format!("{}/messages", self.folder)).unwrap_or_default()
    }

    /// Priority, time, host, program, process, kind and structured data of each.
    pub fn headers(&self) -> String {
        fs::read_to_string(format!("{}/headers", self.folder)).unwrap_or_default()
    }

    /// Ends it in order.
    pub fn stop(mut self) -> String {
        kill(Pid::from_raw(self.process.0.id() as i32), Signal::SIGTERM).expect("it runs");
        self.process.0.wait().expect("it ends");
        self.received()
    }

    /// Lets it do nothing until it is told to go on.
    pub fn rests(&self, rests: bool) {
        rest(&self.process.0, rests);
    }
}
