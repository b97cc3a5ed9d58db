use super::super::tests::{Folder, id};
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

/// As Docker 27 answers, shortened.
const INSPECT: &str = r#"{"Id":"4f1d2a7c9be3","Created":"2026-11-03T08:12:44.1Z","Path":"/docker-entrypoint.sh",
    "State":{"Status":"running","Running":true,"Pid":2211},"Image":"sha256:9bea9f2796e2","Name":"/shop-web-1",
    "RestartCount":0,"Mounts":[],"Config":{"Hostname":"4f1d2a7c9be3","Env":["PATH=/usr/bin","SECRET=x"],"Cmd":["nginx"],
    "Image":"nginx:1.27","Volumes":null,"OnBuild":null,"Labels":{"com.docker.compose.project":"shop",
    "com.docker.compose.service":"web","maintainer":"NGINX <m@nginx.com>"}},"NetworkSettings":{"Bridge":""}}"#;

/// A server that hears a request for each of these answers, and gives it; then it closes.
fn serve(name: &str, answers: Vec<Vec<u8>>) -> (Folder, Engine, std::thread::JoinHandle<Vec<String>>) {
    let folder = Folder::new(name);
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let run = move || {
        answers.into_iter().map(|answer| give(&listener.accept().expect("a client").0, &answer)).collect()
    };
    (folder, Engine::at(socket), std::thread::spawn(run))
}

/// The first line of the request.
fn give(mut client: &UnixStream, answer: &[u8]) -> String {
    let lines = BufReader::new(client).lines().map_while(Result::ok);
    let request: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    // It may have heard enough before the end.
    let _ = client.write_all(answer);
    request.into_iter().next().unwrap_or_default()
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
}

#[test]
fn an_answer_is_read_whole_or_in_chunks() {
    let (first, second) = INSPECT.split_at(100);
    let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let length = format!("200 OK\r\nContent-Length: {}", INSPECT.len());
    let answers = vec![
        response(&length, INSPECT),
        response("200 OK\r\nTransfer-Encoding: chunked", &chunks),
        response("200 OK\r\nConnection: close", INSPECT),
    ];
    let (_folder, engine, server) = serve("whole", answers);
    for _ in 0..3 {
        let found = engine.find(&id(7)).expect("an answer").expect("it is known");
        assert_eq!((found.name.as_deref(), found.image.as_deref()), (Some("shop-web-1"), Some("nginx:1.27")));
        assert_eq!(found.labels["com.docker.compose.service"], "web");
    }
    let asked = server.join().expect("it ends");
    assert_eq!(asked[0], format!("GET /containers/{}/json HTTP/1.1", id(7)));
}

#[test]
fn what_nobody_knows_is_no_error_and_all_else_is() {
    let missing = r#"{"message":"No such container: 00"}"#;
    let answers = vec![
        response("404 Not Found\r\nContent-Length: 35", missing),
        response("500 Internal Server Error\r\nContent-Length: 0", ""),
        response("200 OK\r\nContent-Length: 9", "<html>hi\n"),
        response("200 OK\r\nContent-Length: 900", INSPECT.split_at(100).0),
        b"\x00\xff\x1b[2J garbage\r\n\r\n".to_vec(),
        Vec::new(),
        response("307 Temporary Redirect\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0", ""),
        response("200 OK\r\nContent-Length: 35", r#"{"Name":["a"],"Config":{"Image":7}}"#),
    ];
    let count = answers.len();
    let (_folder, engine, server) = serve("odd", answers);
    assert_eq!(engine.find(&id(0)).expect("an answer"), None);
    for number in 1..count {
        let failure = engine.find(&id(0)).expect_err("a failure");
        assert!(!failure.to_string().chars().any(char::is_control), "{number}: {failure}");
    }
    server.join().expect("it ends");
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    let body = format!("{{\"Name\":\"{}", "a".repeat(file::LARGEST as usize + 1000));
    let (_folder, engine, server) = serve("endless", vec![response("200 OK\r\nConnection: close", &body)]);
    assert_eq!(engine.find(&id(0)).expect_err("too much").to_string(), "it says more than 4 MiB");
    drop(engine);
    server.join().expect("it ends");
}

/// A byte now and then never runs into the time-out of a single read.
#[test]
fn who_answers_slowly_is_not_waited_for_longer_than_who_hangs() {
    let folder = Folder::new("slow");
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let drip = |byte| {
            std::thread::sleep(Duration::from_millis(50));
            client.write_all(byte)
        };
        response("200 OK", INSPECT).chunks(1).try_for_each(drip).expect_err("it is gone")
    });
    let began = Instant::now();
    let failure = Engine::at(socket).find(&id(0)).expect_err("too slow");
    assert_eq!(failure.to_string(), "no answer within 2s");
    assert!(began.elapsed() < 5 * PATIENCE, "{:?}", began.elapsed());
    server.join().expect("it ends");
}

#[test]
fn a_socket_that_nobody_listens_at_is_a_failure_and_none_is_not() {
    let folder = Folder::new("dead");
    let socket = folder.path().join("docker.sock");
    assert_eq!(Engine::at(socket.clone()).find(&id(0)).expect("none"), None);
    drop(UnixListener::bind(&socket).expect("a socket"));
    let failure = Engine::at(socket).find(&id(0)).expect_err("dead");
    assert!(failure.to_string().contains("refused"), "{failure}");
    let too_long = PathBuf::from(format!("/{}", "a".repeat(200)));
    Engine::at(too_long).find(&id(0)).expect_err("no such address");
}

/// `config.v2.json` as Docker 20 to 27 write it, shortened.
#[test]
fn dockers_own_file_says_the_same() {
    let folder = Folder::new("docker-file");
    let text =
        INSPECT.replace("\"Mounts\"", "\"MountPoints\"").replace("\"Id\"", "\"StreamConfig\":{},\"ID\"");
    folder.write(&format!("containers/{}/config.v2.json", id(1)), &text);
    let found = find_in_folder(folder.path(), &id(1)).expect("it is read").expect("it is there");
    assert_eq!(found.name.as_deref(), Some("shop-web-1"));
    assert_eq!(found.labels.len(), 3);
    assert_eq!(find_in_folder(folder.path(), &id(2)).expect("none"), None);
}
