//! rsyslog: syslog over TLS (RFC 5425), each message's body in a line of a file.

use crate::authority::{Authority, Certified};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::netns::succeed;
use weir_tests::shell::Shell;
use weir_tests::wait_for;

pub struct Rsyslog {
    process: Shell,
    pub port: u16,
    out: String,
}

impl Rsyslog {
    /// Takes what comes from `clients`: `anon`, or `x509/certvalid` for those whose certificate the authority has signed.
    pub fn start(folder: &Folder, authority: &Authority, certified: &Certified, clients: &str) -> Self {
        let out = folder.path("messages");
        let configuration = format!(
            "global(workDirectory=\"{place}\" maxMessageSize=\"64k\" defaultNetstreamDriver=\"ossl\"\n\
             \tdefaultNetstreamDriverCAFile=\"{ca}\" defaultNetstreamDriverCertFile=\"{certificate}\"\n\
             \tdefaultNetstreamDriverKeyFile=\"{key}\")\n\
             module(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"{clients}\")\n\
             template(name=\"body\" type=\"string\" string=\"%msg%\\n\")\n\
             ruleset(name=\"all\") {{ action(type=\"omfile\" file=\"{out}\" template=\"body\") }}\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"0\" listenPortFileName=\"{place}/port\" ruleset=\"all\")\n",
            place = folder.place().display(),
            ca = authority.file,
            certificate = certified.certificate,
            key = certified.key,
        );
        let configuration = folder.write("rsyslog.conf", configuration);
        // A profile of AppArmor, which would not let it read these, goes by the path of the program. Copied by another
        // process: what another thread starts meanwhile would have it open for writing, and it could not be executed.
        let program = folder.path("rsyslogd");
        succeed(Command::new("cp").args(["/usr/sbin/rsyslogd", &program]));
        let mut command = Command::new(program);
        command.args(["-n", "-i", "NONE", "-f", &configuration]).stdin(Stdio::null()).stderr(Stdio::null());
        let process = Shell(command.spawn().expect("rsyslog is there"));
        // It knows its port before it listens there.
        let port = wait_for("rsyslog listens", Duration::from_secs(30), || {
            let port = fs::read_to_string(folder.path("port")).ok()?.trim().parse().ok()?;
            TcpStream::connect(("127.0.0.1", port)).ok().map(|_| port)
        });
        Self { process, port, out }
    }

    /// The lines so far.
    pub fn received(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// Ends it in order.
    pub fn stop(mut self) -> String {
        kill(Pid::from_raw(self.process.0.id() as i32), Signal::SIGTERM).expect("it runs");
        self.process.0.wait().expect("it ends");
        self.received()
    }
}
