//! What servers answer, and what becomes of the samples.

use crate::server::{Server, answer};
use crate::{catch_up, page, push, pusher};
use std::time::{Duration, Instant};
use weir_record::PeerCondition;

/// What the standard wants to be said.
#[test]
fn a_request_says_what_it_is() {
    let server = Server::start(&answer("204 No Content", "", ""));
    let (token, url) = (server.file("token", "s3cret\n"), server.url());
    let (mut pusher, _) = pusher(&format!("{url}?token_file={token}&tenant=7"));
    pusher.look(Ok(page(1)));
    assert_eq!(push(&mut pusher).taken_samples, 7);
    let heads = server.heads();
    for header in [
        "post /api/v1/write?tenant=7 http/1.1",
        "content-encoding: snappy",
        "content-type: application/x-protobuf",
        "x-prometheus-remote-write-version: 0.1.0",
        "authorization: bearer s3cret",
        concat!("user-agent: weir/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(heads.lines().any(|line| line == header), "{header}: {heads}");
    }
}

/// A sample that is wrong now is wrong later; so is one of somebody whom the server does not know. Each is asked for once.
#[test]
fn what_is_refused_is_lost_and_counted() {
    for (status, page_of_it) in
        [("400 Bad Request", "out of order sample\n"), ("401 Unauthorized", "who?\u{1b}[m")]
    {
        let server = Server::start(&answer(status, "", page_of_it));
        let (mut pusher, told) = pusher(&server.url());
        pusher.look(Ok(page(1)));
        let state = push(&mut pusher);
        assert_eq!(
            (state.refused_samples, state.taken_samples, state.waiting_samples),
            (7, 0, 0),
            "{status}"
        );
        let error = state.error.expect("why");
        assert!(error.contains(&format!("/api/v1/write: the server answers {status}: ")), "{error}");
        assert!(error.ends_with("; what it refuses is lost") && !error.contains('\u{1b}'), "{error}");
        assert_eq!(server.heads().matches("post ").count(), 1);
        assert_eq!(told.try_iter().count(), 1);
        server.answers(&answer("200 OK", "", ""));
        pusher.look(Ok(page(2)));
        let state = push(&mut pusher);
        assert_eq!((state.refused_samples, state.taken_samples, state.error), (7, 7, None), "{status}");
    }
}

#[test]
fn a_server_that_is_busy_or_broken_is_asked_again() {
    let garbage = "SSH-2.0-OpenSSH_9.2\r\n".to_owned();
    for (mode, says) in [
        (answer("503 Service Unavailable", "", ""), "503 Service Unavailable"),
        (answer("429 Too Many Requests", "", "slowly"), "429 Too Many Requests: slowly"),
        (garbage, "/api/v1/write: "),
        (String::new(), "/api/v1/write: "),
    ] {
        let server = Server::start(&mode);
        let (mut pusher, _) = pusher(&server.url());
        pusher.look(Ok(page(1)));
        let state = push(&mut pusher);
        assert_eq!((state.condition, state.waiting_samples), (PeerCondition::Away, 7), "{mode}");
        assert!(state.error.as_ref().is_some_and(|error| error.contains(says)), "{mode}: {state:?}");
        server.answers(&answer("200 OK", "", ""));
        let state = catch_up(&mut pusher);
        assert_eq!((state.taken_samples, state.refused_samples, state.dropped_samples), (7, 0, 0), "{mode}");
    }
}

/// It is left alone for as long as it asks.
#[test]
fn retry_after_is_heeded() {
    let server = Server::start(&answer("429 Too Many Requests", "Retry-After: 100\r\n", ""));
    let (mut pusher, _) = pusher(&server.url());
    let before = Instant::now();
    pusher.look(Ok(page(1)));
    push(&mut pusher);
    assert!(pusher.retry() >= Some(before + Duration::from_secs(100)));
}

/// At the end what cannot be sent is lost, and counted.
#[test]
fn what_waits_at_the_end_is_lost_and_counted() {
    let server = Server::start(&answer("503 Service Unavailable", "", ""));
    let (mut pusher, _) = pusher(&server.url());
    pusher.look(Ok(page(1)));
    let state = pusher.state();
    pusher.finish();
    let state = state.lock().expect("nobody panics").clone();
    assert_eq!((state.dropped_samples, state.waiting_samples, state.taken_samples), (14, 0, 0));
}

/// What is to be read on disk is looked for at each try; until then samples wait.
#[test]
fn a_password_that_is_not_there_is_said() {
    let server = Server::start(&answer("200 OK", "", ""));
    let password = server.file("password", "");
    let (mut pusher, _) = pusher(&format!("{}?user=me&password_file={password}", server.url()));
    pusher.look(Ok(page(1)));
    let state = push(&mut pusher);
    assert!(state.error.as_ref().is_some_and(|error| error.contains("holds no password")), "{state:?}");
    server.file("password", "open sesame");
    assert_eq!(catch_up(&mut pusher).taken_samples, 7);
}

/// A page that cannot be read is a bug, and is said to be one.
#[test]
fn a_page_that_is_none_is_not_pushed() {
    let server = Server::start(&answer("200 OK", "", ""));
    let (mut pusher, _) = pusher(&server.url());
    pusher.look(Ok("# TYPE weir_up gauge\nweir_up\n# EOF\n".into()));
    let state = push(&mut pusher);
    assert_eq!((state.gaps, state.taken_samples), (1, 0));
    assert!(state.error.as_ref().is_some_and(|error| error.contains("line 2 of the metrics")), "{state:?}");
    assert_eq!(server.heads(), "");
}
