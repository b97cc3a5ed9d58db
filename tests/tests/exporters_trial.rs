//! `weir export test`: what it says of a peer, and what the peer has by then.

use serde_json::Value;
use std::fs;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::folder::Folder;
use weir_tests::ipfix;
use weir_tests::netns::Namespace;
use weir_tests::peer::peer;
use weir_tests::wait_for;

const PORT: u16 = 9995;
const SOON: Duration = Duration::from_secs(20);
const SENT: &str = "one record of no packets, from 192.0.2.1 to 198.51.100.1, was sent";
const REFUSED: &str = "Connection refused (os error 111)";

fn loopback() -> Namespace {
    let namespace = Namespace::new();
    namespace.ip("link set lo up");
    namespace
}

/// With which code it ends, and its only line.
fn test(namespace: &Namespace, arguments: &[&str]) -> (Option<i32>, String) {
    let (status, printed, said) = Agent::run(namespace, &[], &[&["export", "test"], arguments].concat());
    assert!(printed.is_empty() && said.len() == 1, "{printed:?} {said:?}");
    (status.code(), said.concat())
}

fn took(name: &str, answer: &str) -> (Option<i32>, String) {
    (Some(0), format!("weir: {name}: {SENT}; {answer}"))
}

/// The record that it has by now.
fn record(path: &str) -> Value {
    let text = wait_for("the record is there", SOON, || {
        fs::read_to_string(path).ok().filter(|text| text.contains("weir-export-test"))
    });
    let line = &text[text.find('{').expect("JSON")..];
    let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(
        ["source_address", "destination_address", "interface"].map(|name| record[name].as_str()),
        [Some("192.0.2.1"), Some("198.51.100.1"), Some("weir-export-test")]
    );
    assert_eq!((&record["packets"], &record["bytes"]), (&0.into(), &0.into()));
    record
}

/// By a URL, and by a name that the configuration has: the server's answer, and the options that stand there.
#[test]
fn root_a_server_has_it_and_its_answer_is_said() {
    let (namespace, folder) = (loopback(), Folder::new("trial"));
    let (out, url) = (folder.path("out"), format!("http://127.0.0.1:{PORT}/in"));
    folder.write("out.mode", "ok");
    let _server = peer(&namespace, &folder, &format!("http {PORT} {out}"));
    assert_eq!(test(&namespace, &[&url]), took(&url, "the server answers 204 No Content"));
    record(&out);
    fs::remove_file(&out).expect("it was written");

    let token = folder.write("token", "s3cret\n");
    let config = format!(
        "export:\n  - file:/nowhere/flows\n  - {url}?name=noc&fields=source_address,destination_address,interface,packets,bytes&token_file={token}\n"
    );
    let config = folder.write("weir.yaml", config);
    let of_config = |which| test(&namespace, &["--config", &config, which]);
    assert_eq!(of_config("noc"), took("noc", "the server answers 204 No Content"));
    // `type` and these five.
    assert_eq!(record(&out).as_object().map(serde_json::Map::len), Some(6));
    let headers = fs::read_to_string(format!("{out}.headers")).expect("it was asked");
    let logins: Vec<_> = headers.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(logins, ["None", "Bearer"], "{headers}");
    // What has no name is called by its URL, and what is in no configuration is one.
    let nowhere = of_config("file:/nowhere/flows");
    assert!(nowhere.0 == Some(1) && nowhere.1.contains("/nowhere"), "{nowhere:?}");
    assert_eq!(of_config(&url), took(&url, "the server answers 204 No Content"));

    folder.write("out.mode", "refuse");
    // Of what has a name no path is said.
    let said = |why| (Some(1), format!("weir: noc: http://127.0.0.1:{PORT}/…: {why}"));
    assert_eq!(of_config("noc"), said("the server refuses a batch: 400 Bad Request"));
    folder.write("out.mode", "busy");
    assert_eq!(of_config("noc"), said("the server answers 503 Service Unavailable"));
}

/// A stream and a datagram are not answered, and no more than that is said.
#[test]
fn root_a_peer_that_does_not_answer_has_it() {
    let (namespace, folder) = (loopback(), Folder::new("trial"));
    for (kind, scheme, answer) in [
        ("tcp", "syslog+tcp", "it was taken; that it was understood is not said by this protocol"),
        ("udp", "syslog+udp", "nothing came back, as it should be: datagrams are not answered"),
    ] {
        let (out, url) = (folder.path(kind), format!("{scheme}://127.0.0.1:{PORT}"));
        let _peer = peer(&namespace, &folder, &format!("{kind} {PORT} {out}"));
        assert_eq!(test(&namespace, &[&url]), took(&url, answer));
        record(&if kind == "tcp" { format!("{out}.1") } else { out });
    }
    let (out, url) = (folder.path("ipfix"), format!("ipfix+tcp://127.0.0.1:{PORT}"));
    let _collector = peer(&namespace, &folder, &format!("tcp {PORT} {out}"));
    assert_eq!(test(&namespace, &[&url]).0, Some(0));
    let flows = wait_for("the record is there", SOON, || {
        Some(ipfix::flows(&format!("{out}.1"))).filter(|flows| !flows.is_empty())
    });
    assert_eq!((flows.len(), &flows[0]["source_address"]), (1, &"192.0.2.1".into()), "{flows:?}");
}

/// Nobody there, or nobody by that name: a line that says so, and a code that a script can tell apart.
#[test]
fn root_what_is_wrong_is_said_in_one_line() {
    let (namespace, folder) = (loopback(), Folder::new("trial"));
    for scheme in ["ipfix+udp", "syslog+tcp"] {
        let url = format!("{scheme}://127.0.0.1:{PORT}");
        let (code, said) = test(&namespace, &[&url]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with(&format!("weir: {url}: cannot ")) && said.ends_with(REFUSED), "{said}");
    }
    let config = folder
        .write("weir.yaml", format!("export:\n  - http://127.0.0.1:{PORT}/?name=noc\n  - dir:/tmp/o\n"));
    let (code, said) = test(&namespace, &["--config", &config, "noc"]);
    assert!(code == Some(1) && said.starts_with("weir: noc: ") && said.ends_with(REFUSED), "{said}");

    let empty = folder.write("empty.yaml", "export: []\n");
    for (config, which, wanted) in [
        (&config, "siem", "there is no exporter siem. There are: noc, dir:/tmp/o"),
        (&empty, "noc", "there is no exporter noc: the configuration has none, and it is no URL"),
    ] {
        assert_eq!(test(&namespace, &["--config", config, which]), (Some(2), format!("weir: {wanted}")));
    }
    let (code, said) = test(&namespace, &["--config", &config, "gopher://127.0.0.1"]);
    assert!(code == Some(2) && said.starts_with("weir: weir exports to ipfix+udp://HOST:PORT"), "{said}");
}
