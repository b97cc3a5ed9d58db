//! Reads a child's output as it comes, so that the child never waits for the test.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// The lines read so far.
pub struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Lines {
    /// Reads `source` in a thread of its own until it ends.
    pub fn of(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                shared.lock().expect("lines").push(line);
            }
        });
        Self { lines, reader }
    }

    /// What `look` makes of the lines so far.
    pub fn look<T>(&self, look: impl FnOnce(&[String]) -> T) -> T {
        look(&self.lines.lock().expect("lines"))
    }

    /// All lines, once the source has ended.
    pub fn finish(self) -> Vec<String> {
        self.reader.join().expect("reader of lines");
        std::mem::take(&mut self.lines.lock().expect("lines"))
    }
}
