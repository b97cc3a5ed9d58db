//! Google's and Azure's stores: servers that speak their protocols, and forget all when they end.

use crate::moto::WITNESS;
use crate::{NOON, courier, hold, records, state, target, until};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::python::{interpreter, node, python};
use weir_tests::shell::Shell;
use weir_tests::{free_port, wait_for};

const EMULATOR: &str = include_str!("google.py");
/// Azurite's account, which is everybody's.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn started(mut command: Command, port: u16) -> Shell {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Shell(command.spawn().expect("scripts/setup test installs it"));
    wait_for("it listens", Duration::from_secs(60), || TcpStream::connect(("127.0.0.1", port)).ok());
    server
}

fn google(port: u16) -> Shell {
    let mut command = Command::new(interpreter());
    command.args(["-c", EMULATOR, &port.to_string()]);
    started(command, port)
}

fn azurite(port: u16) -> Shell {
    let mut command = Command::new(node("azurite-blob"));
    // Its own check knows of no version that is younger than itself.
    command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]);
    command.args(["--blobPort", &port.to_string()]);
    started(command, port)
}

/// The rows of all objects, as the provider's own library brings them, where there is one, and DuckDB reads them. Makes
/// the container that is to have them.
fn rows(provider: &str, endpoint: &str) -> Vec<Value> {
    let folder = Folder::new("objects");
    let asked = json!({ "provider": provider, "endpoint": endpoint, "key": KEY, "folder": folder.path("") });
    python(WITNESS, &asked.to_string())
}

/// To a server that is away at first; the same objects once more are in the same place.
fn arrives(provider: &str, url: &str, endpoint: &str, start: impl FnOnce() -> Shell) {
    let (folder, sent) = (Folder::new("objects"), records(1, 90));
    let mut courier = courier(&format!("{url}&every=1s"), &folder.place().join("spool"));
    sent.chunks(30).for_each(|batch| courier.write(batch).expect("it waits on disk"));
    std::thread::sleep(Duration::from_millis(1100));
    courier.go_on();
    assert_eq!(state(&courier).spooled_records, 90, "{:?}", courier.state());
    let _server = start();
    assert_eq!(rows(provider, endpoint), Vec::<Value>::new());
    until(&mut courier, 0);
    let state = state(&courier);
    assert_eq!((state.delivered_records, state.refused_records, state.damaged_records), (90, 0, 0));
    hold(&rows(provider, endpoint), &sent, 2);
    let mut peer = target(url).peer();
    peer.connect().expect("it is there");
    peer.send(&sent.iter().rev().cloned().collect::<Vec<_>>()).expect("it takes them");
    hold(&rows(provider, endpoint), &sent, 2);
}

#[test]
fn googles_has_every_field() {
    let (folder, port) = (Folder::new("objects"), free_port());
    let endpoint = format!("http://127.0.0.1:{port}");
    // An emulator wants no token.
    let account =
        json!({ "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "" });
    let account = folder.write("account", account.to_string());
    let url = format!("gs://flows/lab/a?endpoint={endpoint}&credentials_file={account}");
    arrives("google", &url, &endpoint, || google(port));
}

#[test]
fn azures_has_every_field() {
    let (folder, port) = (Folder::new("objects"), free_port());
    let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let url = |key: &str| {
        let key = folder.write("secret", format!("{key}\n"));
        format!("az://flows/lab/a?endpoint={endpoint}&user={ACCOUNT}&password_file={key}")
    };
    arrives("azure", &url(KEY), &endpoint, || azurite(port));
    let _server = azurite(port);
    // No container, and then another's key.
    let said = target(&url(KEY)).test(NOON).expect_err("nowhere").to_string();
    assert!(said.contains("there is no such place: it answers ContainerNotFound"), "{said}");
    let said = target(&url("czNjcmV0")).test(NOON).expect_err("wrong").to_string();
    assert!(said.contains("it does not let us in: it answers AuthorizationFailure"), "{said}");
    assert!(!said.contains('\n') && !said.contains("czNjcmV0"), "{said}");
}
