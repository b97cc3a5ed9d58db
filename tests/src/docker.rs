//! Docker's API, as far as a container can be looked at.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// The API at this socket, as long as the test runs: what `/containers/ID/json` says, by id.
pub fn serve(socket: &Path, containers: BTreeMap<String, String>) {
    let listener = UnixListener::bind(socket).expect("a socket");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let _ = answer(&client.expect("a client"), &containers);
        }
    });
}

fn answer(mut client: &UnixStream, containers: &BTreeMap<String, String>) -> std::io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(client);
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request)? > 0 {}
    let id = request.strip_prefix("GET /containers/").and_then(|rest| rest.split_once("/json "));
    let (head, body) = match id.and_then(|(id, _)| containers.get(id)) {
        Some(body) => ("200 OK", body.as_str()),
        None => ("404 Not Found", "{\"message\":\"No such container\"}"),
    };
    write!(
        client,
        "HTTP/1.1 {head}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
}

/// What it says of a container; name, image and labels as they stand in JSON.
pub fn inspected(name: &str, image: &str, labels: &str) -> String {
    format!(r#"{{"Id":"x","Name":"/{name}","State":{{}},"Config":{{"Image":"{image}","Labels":{labels}}}}}"#)
}
