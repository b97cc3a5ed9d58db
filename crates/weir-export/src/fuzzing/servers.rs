//! Servers that answer each batch with the same words, whatever these are.

use super::{one_line, patience};
use crate::batch::{Answer, Body, Carrier, Form, JsonLines, Server};
use crate::otlp::{Otlp, Resource, Signal};
use crate::peer::{Peer, Sent};
use crate::{grpc, http, target};
use std::fmt;
use std::io;
use std::net::IpAddr;
use tonic::{Code, Status};
use ureq::http::StatusCode;

/// As many are sent.
const RECORDS: usize = 3;
/// As often is asked at most: for each record by itself, and for what is too large together.
const QUESTIONS: usize = 8;

/// What a server says that is asked to take some records.
struct Says<A> {
    answer: A,
    asked: usize,
}

impl<A: Fn(Form) -> Result<Answer, String> + Send> Carrier for Says<A> {
    fn largest(&self) -> usize {
        1 << 16
    }

    fn connect(&mut self) -> io::Result<Option<IpAddr>> {
        Ok(None)
    }

    fn carry(&mut self, _: &[u8], form: Form) -> io::Result<Answer> {
        self.asked += 1;
        assert!(self.asked <= QUESTIONS, "it is asked without an end");
        (self.answer)(form).map_err(io::Error::other)
    }

    fn failed(&self, why: fmt::Arguments<'_>) -> io::Error {
        io::Error::other(why.to_string())
    }

    fn disconnect(&mut self) {}
}

/// How many of some records it refuses for good; none where they wait.
fn refused(
    answer: impl Fn(Form) -> Result<Answer, String> + Send + 'static,
    body: Box<dyn Body>,
) -> Option<usize> {
    let records = vec![target::record(1); RECORDS];
    match Server::new(Box::new(Says { answer, asked: 0 }), body).send(&records) {
        Err(error) => {
            one_line(&error.to_string());
            None
        }
        Ok(Sent { refused, why, answer, .. }) => {
            assert_eq!(refused > 0, why.is_some());
            why.iter().chain(&answer).for_each(|said| one_line(said));
            let refused = usize::try_from(refused).expect("no more than were sent");
            assert!(refused <= RECORDS, "{refused}");
            Some(refused)
        }
    }
}

fn bodies() -> [Box<dyn Body>; 2] {
    [Box::new(JsonLines::default()), Box::new(Otlp::new(Signal::Logs, Vec::new(), Resource::default()))]
}

/// A page with a status. Whether records wait is for the status to say, but for connections that are wrong.
pub fn http(status: StatusCode, page: &[u8]) {
    for (number, body) in bodies().into_iter().enumerate() {
        let refused = {
            let page = page.to_vec();
            refused(move |form| http::answer::of(status, &page, form), body)
        };
        match status.as_u16() {
            // Who takes lines of JSON says no more than that.
            200..=299 if number == 0 => assert_eq!(refused, Some(0)),
            200..=299 => assert!(refused.is_some()),
            400 => assert!(matches!(refused, None | Some(RECORDS))),
            413 | 415 | 422 => assert_eq!(refused, Some(RECORDS)),
            _ => assert_eq!(refused, None, "{status}"),
        }
    }
}

/// A message, or a status: behind the length of what it says in words stand its details.
pub fn grpc(choice: u8, said: &[u8]) {
    // Behind those that there are: no status at all.
    let code = Some(Code::from_i32((choice % 18).into())).filter(|_| choice % 18 < 17);
    let Some(code) = code else {
        for body in bodies() {
            let said = said.to_vec();
            let answer = move |form: Form| grpc::answer::of(Ok(said.clone()), form).map_err(|no| no.why);
            assert!(refused(answer, body).is_some());
        }
        return;
    };
    let Some((length, rest)) = said.split_first() else { return };
    let (words, details) = rest.split_at(rest.len().min(usize::from(*length)));
    let status = Status::with_details(code, String::from_utf8_lossy(words), details.to_vec().into());
    for body in bodies() {
        if let Err(refusal) = grpc::answer::of(Err(status.clone()), body.form()) {
            refusal.wait.into_iter().for_each(patience);
        }
        let again = status.clone();
        let answer = move |form: Form| grpc::answer::of(Err(again.clone()), form).map_err(|no| no.why);
        let refused = refused(answer, body);
        match code {
            Code::InvalidArgument => assert_eq!(refused, Some(RECORDS)),
            Code::ResourceExhausted | Code::OutOfRange => assert!(matches!(refused, None | Some(RECORDS))),
            _ => assert_eq!(refused, None, "{status:?}"),
        }
    }
}
