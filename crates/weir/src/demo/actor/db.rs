//! The stand-in of a database: the part of RESP that PING, SET and GET need.

use crate::demo::stage::{DB, DB_PORT};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The longest word, the most words of a command, the most values that are kept.
const LONGEST: usize = 4096;
const MOST_WORDS: usize = 8;
const MOST_VALUES: usize = 1024;

type Values = Mutex<HashMap<String, String>>;

pub fn serve() -> io::Result<ExitCode> {
    let listener = TcpListener::bind((DB.address, DB_PORT))?;
    let values = Arc::new(Values::default());
    for connection in listener.incoming() {
        let values = Arc::clone(&values);
        thread::spawn(move || connection.and_then(|stream| converse(&stream, &values)));
    }
    Ok(ExitCode::SUCCESS)
}

fn converse(mut stream: &TcpStream, values: &Values) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(words) = read_command(&mut reader)? {
        stream.write_all(answer(&words, values).as_bytes())?;
    }
    Ok(())
}

/// An array of bulk strings; none at the end of the stream.
fn read_command(reader: &mut impl BufRead) -> io::Result<Option<Vec<String>>> {
    let Some(count) = read_number(reader, '*', MOST_WORDS)? else { return Ok(None) };
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = read_number(reader, '$', LONGEST)?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word)?;
        word.truncate(length);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(Some(words))
}

/// A line like `*3` or `$5`; none at the end of the stream.
fn read_number(reader: &mut impl BufRead, mark: char, most: usize) -> io::Result<Option<usize>> {
    let mut line = String::new();
    if reader.by_ref().take(16).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let number = line.strip_prefix(mark).and_then(|rest| rest.trim_end().parse().ok());
    number.filter(|number| *number <= most).map(Some).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn answer(words: &[String], values: &Values) -> String {
    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["PING"] => "+PONG\r\n".into(),
        ["SET", key, value] if values.len() < MOST_VALUES || values.contains_key(key) => {
            values.insert(key.into(), value.into());
            "+OK\r\n".into()
        }
        ["GET", key] => {
            values.get(key).map_or("$-1\r\n".into(), |value| format!("${}\r\n{value}\r\n", value.len()))
        }
        _ => "-ERR unknown command\r\n".into(),
    }
}

/// A command as a client writes it.
pub fn command(words: &str) -> String {
    let words: Vec<_> = words.split(' ').collect();
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    format!("*{}\r\n{}", words.len(), words.iter().map(bulk).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are those of the protocol's own documentation, not only what `command` writes.
    #[test]
    fn what_was_set_is_got() {
        let values = Values::default();
        let ask = |bytes: &str| {
            let words = read_command(&mut bytes.as_bytes()).expect("a command").expect("a whole one");
            answer(&words, &values)
        };
        assert_eq!(ask("*1\r\n$4\r\nPING\r\n"), "+PONG\r\n");
        assert_eq!(ask("*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n"), "$-1\r\n");
        assert_eq!(ask(&command("SET hello world")), "+OK\r\n");
        assert_eq!(ask("*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n"), "$5\r\nworld\r\n");
        assert_eq!(ask(&command("FLUSHALL")), "-ERR unknown command\r\n");
        assert_eq!(command("PING"), "*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in ["*99999999999\r\n", "PING\r\n", "*1\r\n$4\r\nPI", "*1\r\n$-1\r\n"] {
            assert!(read_command(&mut bytes.as_bytes()).is_err(), "{bytes}");
        }
        assert!(read_command(&mut "".as_bytes()).expect("the end").is_none());
    }
}
