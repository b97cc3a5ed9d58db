//! The thread behind the socket: takes requests from anybody who may connect, and is held by nobody.
//!
//! A client has so long to ask and so long to read, and there are only so many at a time: where one
//! more comes, whoever has been silent for longest goes. All is non-blocking, around one poll(2).

use super::protocol::{self, Answer, Request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Clients at the same time.
const MOST_CLIENTS: usize = 16;
/// Bytes of a request, the newline included.
const LONGEST_REQUEST: usize = 4096;
/// From the connection to the end of the request.
const TIME_TO_ASK: Duration = Duration::from_secs(2);
/// From the request to the answer: the agent may be in a long drain.
const TIME_TO_ANSWER: Duration = Duration::from_secs(30);
/// From the answer to its last byte read.
const TIME_TO_READ: Duration = Duration::from_secs(5);
/// After an accept(2) that fails for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A client's number.
pub(super) type ClientId = u64;

/// The agent's end: what has been asked, and the way back.
pub(super) struct Requests {
    asked: Receiver<(ClientId, Request)>,
    answers: Sender<(ClientId, Arc<Answer>)>,
    /// A byte wakes the server; closed, it ends it.
    bell: UnixStream,
}

impl Requests {
    /// Serves `listener` on a thread of its own until it is dropped.
    pub(super) fn serve(listener: Option<UnixListener>) -> io::Result<Self> {
        let listener = listener.ok_or(ErrorKind::NotConnected)?;
        let (bell, heard) = UnixStream::pair()?;
        for end in [&bell, &heard] {
            end.set_nonblocking(true)?;
        }
        let (to_agent, asked) = channel();
        let (answers, from_agent) = channel();
        let server = Server { listener, heard, clients: Vec::new(), next: 0, to_agent, from_agent };
        thread::Builder::new().name("weir-control".into()).spawn(move || server.run())?;
        Ok(Self { asked, answers, bell })
    }

    /// What has been asked since the last call.
    pub(super) fn take(&self) -> Vec<(ClientId, Request)> {
        self.asked.try_iter().collect()
    }

    /// Answers, unless the client has gone meanwhile.
    pub(super) fn answer(&self, client: ClientId, answer: Arc<Answer>) {
        if self.answers.send((client, answer)).is_ok() {
            // A bell that is full is heard anyway.
            let _ = (&self.bell).write(&[0]);
        }
    }
}

enum State {
    Asking(Vec<u8>),
    Waiting,
    /// The line, and how much of it has been written.
    Reading(Arc<Vec<u8>>, usize),
}

struct Client {
    id: ClientId,
    stream: UnixStream,
    deadline: Instant,
    state: State,
}

struct Server {
    listener: UnixListener,
    heard: UnixStream,
    clients: Vec<Client>,
    next: ClientId,
    to_agent: Sender<(ClientId, Request)>,
    from_agent: Receiver<(ClientId, Arc<Answer>)>,
}

impl Server {
    fn run(mut self) {
        loop {
            self.wait();
            if self.is_over() {
                return;
            }
            self.deliver();
            self.accept();
            let now = Instant::now();
            let to_agent = &self.to_agent;
            self.clients.retain_mut(|client| now < client.deadline && client.go_on(to_agent));
        }
    }

    /// Until somebody moves, or has been silent for too long.
    fn wait(&self) {
        let now = Instant::now();
        let timeout = self.clients.iter().map(|client| client.deadline.saturating_duration_since(now)).min();
        let timeout = timeout.map_or(PollTimeout::NONE, |left| {
            // A millisecond more: poll(2) rounds down, and would spin.
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![
            PollFd::new(self.heard.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.clients.iter().filter_map(Client::awaits));
        if poll(&mut fds, timeout).is_err() {
            thread::sleep(PAUSE);
        }
    }

    /// Whether the agent has closed its end; takes the rings of its bell.
    fn is_over(&mut self) -> bool {
        let mut rings = [0; 64];
        loop {
            match self.heard.read(&mut rings) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    fn deliver(&mut self) {
        let mut last: Option<(Arc<Answer>, Arc<Vec<u8>>)> = None;
        for (id, answer) in self.from_agent.try_iter() {
            // The same answer to many is the same bytes.
            let line = match &last {
                Some((known, line)) if Arc::ptr_eq(known, &answer) => Arc::clone(line),
                _ => Arc::new(protocol::line(&answer)),
            };
            if let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
                client.hand_over(Arc::clone(&line));
            }
            last = Some((answer, line));
        }
    }

    fn accept(&mut self) {
        for _ in 0..MOST_CLIENTS {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => return thread::sleep(PAUSE),
            }
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.clients.len() >= MOST_CLIENTS {
            // In the order in which they came. Whoever waits for the agent is not to blame.
            let silent = self.clients.iter().position(|client| !matches!(client.state, State::Waiting));
            match silent {
                Some(place) => drop(self.clients.remove(place)),
                None => return,
            }
        }
        let (id, deadline) = (self.next, Instant::now() + TIME_TO_ASK);
        self.next += 1;
        let mut client = Client { id, stream, deadline, state: State::Asking(Vec::new()) };
        // What it has asked already is taken before the next one comes.
        if client.go_on(&self.to_agent) {
            self.clients.push(client);
        }
    }
}

impl Client {
    /// One that waits for the agent is not listened to: it may have closed its end of the line already.
    fn awaits(&self) -> Option<PollFd<'_>> {
        let events = match self.state {
            State::Asking(_) => PollFlags::POLLIN,
            State::Waiting => return None,
            State::Reading(..) => PollFlags::POLLOUT,
        };
        Some(PollFd::new(self.stream.as_fd(), events))
    }

    fn hand_over(&mut self, line: Arc<Vec<u8>>) {
        self.state = State::Reading(line, 0);
        self.deadline = Instant::now() + TIME_TO_READ;
    }

    /// Does what can be done now. Whether it is to be kept.
    fn go_on(&mut self, to_agent: &Sender<(ClientId, Request)>) -> bool {
        match &mut self.state {
            State::Asking(_) => self.listen(to_agent),
            State::Waiting => true,
            State::Reading(line, written) => match self.stream.write(&line[*written..]) {
                Ok(more) => {
                    *written += more;
                    *written < line.len()
                }
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            },
        }
    }

    fn listen(&mut self, to_agent: &Sender<(ClientId, Request)>) -> bool {
        let State::Asking(line) = &mut self.state else { return true };
        let mut part = [0; 1024];
        let read = match self.stream.read(&mut part) {
            Ok(0) => return false,
            Ok(read) => &part[..read],
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let end = read.iter().position(|byte| *byte == b'\n');
        line.extend(&read[..end.unwrap_or(read.len())]);
        let request = match end {
            _ if line.len() >= LONGEST_REQUEST => {
                Err(format!("a request has at most {LONGEST_REQUEST} bytes"))
            }
            None => return true,
            Some(_) => Request::read(line),
        };
        match request {
            Ok(request) => {
                self.state = State::Waiting;
                self.deadline = Instant::now() + TIME_TO_ANSWER;
                to_agent.send((self.id, request)).is_ok()
            }
            Err(error) => {
                self.hand_over(Arc::new(protocol::line(&Answer::Error { error })));
                self.go_on(to_agent)
            }
        }
    }
}
