//! The stand-in of a web server: HTTP/1.1, GET, one request a connection.

use crate::demo::stage::{PAGES, WEB, WEB_PORT};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// The longest request that is read.
const LONGEST: u64 = 8192;

pub fn serve(directory: &Path) -> io::Result<ExitCode> {
    let listener = TcpListener::bind((WEB.address, WEB_PORT))?;
    for connection in listener.incoming() {
        let directory = directory.to_path_buf();
        thread::spawn(move || connection.and_then(|stream| answer(&stream, &directory)));
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(mut stream: &TcpStream, directory: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request: Vec<_> = BufReader::new(stream.take(LONGEST))
        .lines()
        .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
        .collect::<io::Result<_>>()?;
    let (status, body) = match request.first().and_then(|line| page(line, directory)) {
        Some(path) => ("200 OK", std::fs::read(path)?),
        None => ("404 Not Found", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

/// The file of a page that there is.
fn page(request: &str, directory: &Path) -> Option<PathBuf> {
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?.strip_prefix('/')?);
    let name = if path.is_empty() { PAGES[0].0 } else { path };
    let known = PAGES.iter().any(|(page, _)| *page == name);
    (method == "GET" && known).then(|| directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_pages() {
        let page = |request| page(request, Path::new("/d"));
        assert_eq!(page("GET /film HTTP/1.1"), Some("/d/film".into()));
        assert_eq!(page("GET / HTTP/1.1"), Some("/d/index.html".into()));
        for other in ["GET /../secret HTTP/1.1", "PUT /film HTTP/1.1", "GET film", "", "\r"] {
            assert_eq!(page(other), None, "{other}");
        }
    }
}
