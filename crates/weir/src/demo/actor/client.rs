//! What the clients and the scanner do, over and over.

use super::{call_myself, db, dns, scan};
use crate::demo::programs::{Cast, Role};
use crate::demo::stage::{CLIENT_1, CLIENT_2, DB, DB_PORT, DNS, DNS_PORT, Host, Stage, WEB, WEB_PORT};
use anyhow::{Context, Result, bail};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// One step: what to do, and what to ask for.
type Step = (Role, &'static str);

/// A script, and the pause after it.
fn script(host: &Host) -> (&'static [Step], Duration) {
    match *host {
        CLIENT_1 => (
            &[
                (Role::Lookup, "web.test"),
                (Role::Fetch, "index.html"),
                (Role::Lookup, "db.test"),
                (Role::Query, "SET greeting hello"),
                (Role::Query, "GET greeting"),
            ],
            Duration::from_millis(200),
        ),
        CLIENT_2 => (&[(Role::Lookup, "web.test"), (Role::Fetch, "film")], Duration::from_millis(200)),
        _ => (&[(Role::Scan, "")], Duration::from_secs(15)),
    }
}

/// Plays a client for as long as the demo lasts.
pub fn play(host: &Host, stage: Stage, stand_ins: bool) -> Result<ExitCode> {
    call_myself(host.name);
    let cast = Cast::choose(stand_ins);
    let (steps, pause) = script(host);
    loop {
        for (role, object) in steps {
            // What fails is said in the host's file, and tried again in the next round.
            if let Err(error) = perform(&cast, stage, *role, object) {
                eprintln!("{} {object}: {error:#}", role.stand_in());
            }
        }
        sleep(pause);
    }
}

fn perform(cast: &Cast, stage: Stage, role: Role, object: &str) -> Result<()> {
    match cast.of(role) {
        Some(program) => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["demo-actor", "tool", &std::process::id().to_string()]);
            command.args(program.words(stage, object)).stdin(Stdio::null()).stdout(Stdio::null());
            // A scanner that finds a port closed says so with its exit code.
            command.stderr(Stdio::null()).status().map(drop).with_context(|| program.name.to_string())
        }
        None => match role {
            Role::Fetch => fetch(object),
            Role::Lookup => lookup(object),
            Role::Query => query(object),
            Role::Scan => {
                scan::scan();
                Ok(())
            }
            Role::Web | Role::Database | Role::NameServer => bail!("no client does this"),
        },
    }
}

fn connect(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&(address, port).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn fetch(page: &str) -> Result<()> {
    let mut stream = connect(WEB.address, WEB_PORT)?;
    write!(stream, "GET /{page} HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    if !response.starts_with(b"HTTP/1.1 200 ") {
        bail!("the web server did not send it");
    }
    Ok(())
}

fn lookup(name: &str) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((DNS.address, DNS_PORT))?;
    let id = socket.local_addr()?.port();
    socket.send(&dns::query(id, name))?;
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply)?;
    dns::address(id, &reply[..length]).context("the DNS server does not know it")?;
    Ok(())
}

fn query(words: &str) -> Result<()> {
    let mut stream = connect(DB.address, DB_PORT)?;
    stream.write_all(db::command(words).as_bytes())?;
    let mut reply = [0; 512];
    let length = stream.read(&mut reply)?;
    if length == 0 || reply[0] == b'-' {
        bail!("the database did not do it");
    }
    Ok(())
}
