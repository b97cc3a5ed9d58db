//! Somebody in between who spoils answers.

use crate::common::clickhouse::ClickHouse;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of an answer.
#[derive(Clone, Copy)]
pub enum Trick {
    /// Half of it, and no word of more: only its own end would tell.
    Cut,
    /// The same, and then what ClickHouse says of a mistake that it meets on the way.
    Complaint,
    /// Something else, which says that all is well.
    Garbage,
    /// What ClickHouse answers to a wrong password.
    Refusal,
}

/// Hands on what is asked and answered, until the test ends.
pub struct Proxy {
    port: u16,
    next: Arc<Mutex<Option<Trick>>>,
}

impl Proxy {
    /// Before this server.
    pub fn before(server: &ClickHouse) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (port, next) = (listener.local_addr().expect("an address").port(), Arc::new(Mutex::new(None)));
        let (real, tricks) = (server.port(), Arc::clone(&next));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let trick = tricks.lock().expect("nobody panics").take();
                // Whoever is asked may be away: the connection ends then, as it does with it.
                let _ = answer(client, real, trick);
            }
        });
        Self { port, next }
    }

    /// Plays this on the next one who asks.
    pub fn next(&self, trick: Trick) {
        *self.next.lock().expect("nobody panics") = Some(trick);
    }

    /// What to ask.
    pub fn url(&self, more: &str) -> String {
        format!("clickhouse://127.0.0.1:{}{more}", self.port)
    }
}

fn answer(mut client: TcpStream, real: u16, trick: Option<Trick>) -> io::Result<()> {
    let asked = message(&client)?;
    let mut server = TcpStream::connect(("127.0.0.1", real))?;
    server.write_all(&asked)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (body, half) = (&answer[body..], (answer.len() - body) / 2);
    let (status, body) = match trick {
        None => ("200 OK", body.to_vec()),
        Some(Trick::Cut) => ("200 OK", body[..half].to_vec()),
        Some(Trick::Complaint) => {
            let said =
                b"\r\nCode: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)\r\n";
            ("200 OK", [&body[..half], said].concat())
        }
        Some(Trick::Garbage) => ("200 OK", [&b"<html>"[..], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]].concat()),
        Some(Trick::Refusal) => (
            "403 Forbidden",
            b"Code: 516. DB::Exception: me: Authentication failed: password is incorrect\n".to_vec(),
        ),
    };
    client.write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n").as_bytes())?;
    client.write_all(&body)
}

/// A request, whole.
fn message(client: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut reader, mut head, mut length) = (BufReader::new(client), Vec::new(), 0);
    loop {
        let from = head.len();
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&head[from..]).to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().map_err(io::Error::other)?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok([head, body].concat())
}
