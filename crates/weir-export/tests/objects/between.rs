//! Who stands between us and a server, and may keep its answers to itself; or is the server, and answers nonsense.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Passes on what is asked; answers only as long as it is told to.
pub struct Between {
    pub port: u16,
    answers: Arc<AtomicBool>,
    /// Answers that it has kept to itself.
    kept: Arc<AtomicU64>,
}

impl Between {
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (answers, kept) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (tell, count) = (Arc::clone(&answers), Arc::clone(&kept));
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (tell, count) = (Arc::clone(&tell), Arc::clone(&count));
                thread::spawn(move || pass(near, far, &tell, &count));
            }
        });
        Self { port, answers, kept }
    }

    pub fn answers(&self, answers: bool) {
        self.answers.store(answers, Ordering::SeqCst);
    }

    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::SeqCst)
    }
}

fn pass(mut near: TcpStream, mut far: TcpStream, answers: &AtomicBool, kept: &AtomicU64) {
    let (mut asks, mut asked) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = copy(&mut asks, &mut asked);
        let _ = asked.shutdown(Shutdown::Write);
    });
    let mut part = [0; 1 << 16];
    while let Ok(length @ 1..) = far.read(&mut part) {
        // `100 Continue` is no answer yet.
        let is_answer = part.starts_with(b"HTTP/1.1 2");
        if is_answer && !answers.load(Ordering::SeqCst) {
            kept.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if near.write_all(&part[..length]).is_err() {
            break;
        }
    }
    let _ = (near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both));
}

/// A server that says this to whoever asks; nothing, and stays, where that is empty.
pub fn says(answer: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut near in listener.incoming().flatten() {
            if answer.is_empty() {
                held.push(near);
                continue;
            }
            let _ = near.read(&mut [0; 1 << 16]);
            let _ = near.write_all(answer.as_bytes());
            let _ = near.shutdown(Shutdown::Write);
            held.push(near);
        }
    });
    port
}
