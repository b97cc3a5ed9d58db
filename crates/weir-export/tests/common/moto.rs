//! moto: a server that speaks S3, and forgets all when it ends.

use serde_json::{Value, json};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::python::{interpreter, python};
use weir_tests::shell::Shell;
use weir_tests::wait_for;

pub const WITNESS: &str = include_str!("witness.py");

/// Running, and killed on drop.
pub struct Moto {
    port: u16,
    scheme: &'static str,
    _process: Shell,
}

impl Moto {
    /// At this port of the loopback, with a bucket.
    pub fn start(port: u16) -> Self {
        let moto = Self::with(port, "http", |_| {});
        moto.make_bucket();
        moto
    }

    /// One that wants to know who is there, and knows nobody.
    pub fn distrustful(port: u16) -> Self {
        Self::with(port, "http", |command| {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "0");
        })
    }

    /// Within TLS.
    pub fn secured(port: u16, certificate: &str, key: &str) -> Self {
        let moto = Self::with(port, "https", |command| {
            command.args(["--ssl", "--ssl-cert", certificate, "--ssl-key", key]);
        });
        moto.make_bucket();
        moto
    }

    fn with(port: u16, scheme: &'static str, more: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(interpreter());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        more(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Shell(command.spawn().expect("scripts/setup test installs it"));
        wait_for("moto listens", Duration::from_secs(60), || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { port, scheme, _process: process }
    }

    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    fn make_bucket(&self) {
        let url = format!("{}/flows", self.endpoint());
        let curl = Command::new("curl").args(["-sSfk", "-m", "30", "-X", "PUT", &url]).output();
        let curl = curl.expect("curl is there");
        assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
    }

    /// The rows of all objects, as boto3 brings them and DuckDB reads them.
    pub fn rows(&self) -> Vec<Value> {
        let folder = Folder::new("objects");
        let asked = json!({ "provider": "amazon", "endpoint": self.endpoint(), "folder": folder.path("") });
        python(WITNESS, &asked.to_string())
    }
}

/// The rows of all files in a folder, as DuckDB reads them.
pub fn rows_in(folder: &str) -> Vec<Value> {
    python(WITNESS, &json!({ "folder": folder }).to_string())
}
