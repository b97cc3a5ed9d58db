//! A server that answers what it is told to, and keeps the heads of the requests.

use std::fs;
use std::process::Command;
use weir_tests::folder::Folder;
use weir_tests::shell::{Shell, serving};

/// Its program. What it is to answer stands in FOLDER/answer, as it goes over the wire.
const PROGRAM: &str = r#"
import socket, sys
folder = sys.argv[1]
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    one, _ = server.accept()
    one.settimeout(10)
    try:
        file = one.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line: break
            head += line
        length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        file.read(int(length[0]))
        with open(folder + "/heads", "ab") as heads: heads.write(head)
        with open(folder + "/answer", "rb") as answer: one.sendall(answer.read())
    except (OSError, IndexError):
        pass
    one.close()
"#;

/// Running, and killed on drop.
pub struct Server {
    folder: Folder,
    port: u16,
    _process: Shell,
}

impl Server {
    /// Starts it; this is what it answers.
    pub fn start(answer: &str) -> Self {
        let folder = Folder::new("answers");
        folder.write("answer", answer);
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", PROGRAM, &folder.place().display().to_string()]);
        let (process, port) = serving(&mut command);
        Self { folder, port, _process: process }
    }

    /// What it answers from now on.
    pub fn answers(&self, answer: &str) {
        // It never reads half of it.
        let new = self.folder.write("answer.new", answer);
        fs::rename(new, self.folder.path("answer")).expect("a file");
    }

    /// Where to push to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    /// A file with this in its directory.
    pub fn file(&self, name: &str, content: &str) -> String {
        self.folder.write(name, content)
    }

    /// The heads of all requests.
    pub fn heads(&self) -> String {
        fs::read_to_string(self.folder.path("heads")).unwrap_or_default().to_lowercase()
    }
}

/// An answer of this status, with these headers and this page.
pub fn answer(status: &str, headers: &str, page: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{page}", page.len())
}
