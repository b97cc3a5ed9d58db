//! Streams that say nothing of what they have taken: it is there at least once.

use crate::common::authority::{Authority, Certified};
use crate::common::flows::{self, parsed};
use crate::common::messages::collected;
use crate::common::openssl::Server;
use crate::common::relay::{HOST, PEER, Plain, Relay};
use crate::common::rsyslog::{Input, Rsyslog};
use crate::{Numbers, Witness, each_record_is_there, numbers};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::{free_port, wait_for};

struct Syslog<'a> {
    folder: &'a Folder,
    input: Input<'a>,
    daemon: Option<Rsyslog>,
}

impl<'a> Syslog<'a> {
    fn start(folder: &'a Folder, input: Input<'a>) -> Self {
        let daemon = Some(Rsyslog::start(folder, &input));
        Self { folder, input, daemon }
    }

    fn daemon(&self) -> &Rsyslog {
        self.daemon.as_ref().expect("it was started")
    }

    fn relay(&self) -> impl Fn() -> Relay + use<> {
        let port = self.daemon().port;
        move || Relay::start(port, Plain)
    }
}

impl Witness for Syslog<'_> {
    fn starts_anew(&mut self) {
        let port = self.daemon.take().expect("it was started").port;
        self.daemon = Some(Rsyslog::start_at(port, self.folder, &self.input));
    }

    fn has(&self) -> Numbers {
        let text = self.daemon().received();
        // What follows the last end of a line is being written.
        numbers(&parsed(&text[..text.rfind('\n').map_or(0, |end| end + 1)]))
    }
}

/// What a header says (RFC 5424, section 6), as somebody else reads it.
fn assert_headers(daemon: &Rsyslog) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let process = std::process::id();
    let text = daemon.received();
    let headers = daemon.headers();
    assert!(text.lines().count() > 0 && text.lines().count() == headers.lines().count());
    for (header, body) in headers.lines().zip(parsed(&text)) {
        let end = body["end"].as_str().expect("a time");
        // Of the nine digits of a fraction six have room.
        let time = format!("{}Z", &end[..26]);
        let header = header.replace("+00:00", "Z");
        assert_eq!(header, format!("134 {time} {} weir {process} flow -", host.trim()));
    }
}

#[test]
fn rsyslog_has_each_record() {
    let folder = Folder::new("outages");
    let mut syslog = Syslog::start(&folder, Input::Tcp);
    let url = format!("syslog+tcp://{HOST}:{}", syslog.daemon().port);
    let relay = syslog.relay();
    each_record_is_there(&mut syslog, &url, &relay);
    assert_headers(syslog.daemon());
}

#[test]
fn rsyslog_has_each_record_within_tls() {
    let folder = Folder::new("outages");
    let authority = Authority::new(&folder, "ours");
    let certified = authority.signs(&[HOST]);
    let mut syslog = Syslog::start(&folder, Input::Tls(&authority, &certified, "anon"));
    let url = format!("syslog+tls://{HOST}:{}?ca_file={}", syslog.daemon().port, authority.file);
    let relay = syslog.relay();
    each_record_is_there(&mut syslog, &url, &relay);
}

/// IPFIX within TLS: a file for each start, which has one connection with anything in it.
struct Secured<'a> {
    folder: &'a Folder,
    certified: Certified,
    server: Option<Server>,
    killed: Vec<Vec<u8>>,
}

impl Witness for Secured<'_> {
    fn starts_anew(&mut self) {
        let server = self.server.take().expect("it was started");
        let port = server.port;
        self.killed.push(server.kill());
        self.server = Some(Server::start_at(port, self.folder, &self.certified, &[]));
    }

    fn has(&self) -> Numbers {
        let now = self.server.as_ref().expect("it was started").received();
        let all = self.killed.iter().chain([&now]);
        let flows: Vec<_> = all.flat_map(|bytes| collected(self.folder, "read.ipfix", bytes)).collect();
        numbers(&flows)
    }
}

#[test]
fn a_collector_has_each_record_within_tls() {
    let folder = Folder::new("outages");
    let authority = Authority::new(&folder, "ours");
    let certified = authority.signs(&[HOST]);
    let server = Server::start(&folder, &certified, &[]);
    let port = server.port;
    let mut secured = Secured { folder: &folder, certified, server: Some(server), killed: Vec::new() };
    let url = format!("ipfix+tls://{HOST}:{port}?ca_file={}", authority.file);
    each_record_is_there(&mut secured, &url, &|| Relay::start(port, Plain));
}

/// socat: a file for each connection.
struct Socat<'a> {
    folder: &'a Folder,
    /// Where it listens, as it is told.
    place: String,
    reads: fn(&Folder, &[u8]) -> Numbers,
    listener: Child,
}

impl<'a> Socat<'a> {
    fn start(folder: &'a Folder, place: String, reads: fn(&Folder, &[u8]) -> Numbers) -> Self {
        let listener = Self::listener(folder, &place);
        Self { folder, place, reads, listener }
    }

    fn listener(folder: &Folder, place: &str) -> Child {
        let into = format!("SYSTEM:cat > {}", folder.path("connection.$$"));
        let mut command = Command::new("socat");
        command.args(["-u", place, &into]).stdin(Stdio::null()).stderr(Stdio::null());
        // Each connection has a process of its own.
        let listener = command.process_group(0).spawn().expect("scripts/setup test installs it");
        let (_, address) = place.split_once(':').expect("an address");
        let address = address.split(',').next().expect("an address");
        wait_for("socat listens", Duration::from_secs(30), || match address.parse() {
            Ok(port) => TcpStream::connect((PEER, port)).ok().map(drop),
            Err(_) => UnixStream::connect(address).ok().map(drop),
        });
        listener
    }

    fn kill(&mut self) {
        let _ = killpg(Pid::from_raw(self.listener.id() as i32), Signal::SIGKILL);
        let _ = self.listener.wait();
    }
}

impl Drop for Socat<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Witness for Socat<'_> {
    fn starts_anew(&mut self) {
        self.kill();
        self.listener = Self::listener(self.folder, &self.place);
    }

    fn has(&self) -> Numbers {
        let mut all = Numbers::new();
        let files = fs::read_dir(self.folder.place()).expect("a folder").flatten();
        for file in files.filter(|file| file.file_name().to_string_lossy().starts_with("connection.")) {
            let bytes = fs::read(file.path()).expect("a file");
            for (number, times) in (self.reads)(self.folder, &bytes) {
                *all.entry(number).or_default() += times;
            }
        }
        all
    }
}

#[test]
fn a_collector_has_each_record() {
    let (folder, port) = (Folder::new("outages"), free_port());
    let place = format!("TCP-LISTEN:{port},bind={PEER},fork,reuseaddr");
    let reads = |folder: &Folder, bytes: &[u8]| numbers(&collected(folder, "read.ipfix", bytes));
    let mut socat = Socat::start(&folder, place, reads);
    each_record_is_there(&mut socat, &format!("ipfix+tcp://{HOST}:{port}"), &|| Relay::start(port, Plain));
}

/// A line each, of which the last may be cut off.
fn lines(_: &Folder, bytes: &[u8]) -> Numbers {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    numbers(&flows::parsed(std::str::from_utf8(&bytes[..end]).expect("text")))
}

#[test]
fn a_program_of_this_host_has_each_record() {
    let folder = Folder::new("outages");
    let [near, far] = ["near", "far"].map(|name| folder.path(name));
    let mut socat = Socat::start(&folder, format!("UNIX-LISTEN:{far},fork,unlink-early"), lines);
    each_record_is_there(&mut socat, &format!("unix:{near}"), &|| Relay::start_unix(&near, &far));
}
