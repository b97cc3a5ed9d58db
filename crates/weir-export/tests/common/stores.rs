//! Google's and Azure's stores: servers that speak their protocols, and forget all when they end.

use super::moto::WITNESS;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::python::{interpreter, node, python};
use weir_tests::shell::Shell;
use weir_tests::wait_for;

const EMULATOR: &str = include_str!("google.py");
/// Azurite's account, which is everybody's.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn started(mut command: Command, port: u16) -> Shell {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Shell(command.spawn().expect("scripts/setup test installs it"));
    wait_for("it listens", Duration::from_secs(60), || TcpStream::connect(("127.0.0.1", port)).ok());
    server
}

pub fn google(port: u16) -> Shell {
    let mut command = Command::new(interpreter());
    command.args(["-c", EMULATOR, &port.to_string()]);
    started(command, port)
}

pub fn azurite(port: u16) -> Shell {
    let mut command = Command::new(node("azurite-blob"));
    // Its own check knows of no version that is younger than itself.
    command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]);
    command.args(["--blobPort", &port.to_string()]);
    started(command, port)
}

/// The rows of all objects, as the provider's own library brings them, where there is one, and DuckDB reads them. Makes
/// the container that is to have them.
pub fn rows(provider: &str, endpoint: &str) -> Vec<Value> {
    let folder = Folder::new("objects");
    let asked = json!({ "provider": provider, "endpoint": endpoint, "key": KEY, "folder": folder.path("") });
    python(WITNESS, &asked.to_string())
}

/// The file of an account: an emulator wants no token.
pub fn google_account(folder: &Folder) -> String {
    let account =
        json!({ "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "" });
    folder.write("account", account.to_string())
}
